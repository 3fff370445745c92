"""A refusal as RFC 9457 problem details: public text only, never `private` or a value of the input."""

from __future__ import annotations

from typing import Any

from gateway.errors import GatewayError


def problem(error: GatewayError, instance: str) -> dict[str, Any]:
    """The members of `cdi/v1/problem`. `instance` is the interaction id."""
    body: dict[str, Any] = {
        "type": f"urn:cdi-gateway:error:{error.code.lower().replace('_', '-')}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "retryable": error.retryable,
    }
    if error.retry_after_seconds is not None:
        body["retryAfter"] = error.retry_after_seconds
    if error.violations:
        body["errors"] = [
            {"pointer": violation.pointer, "keyword": violation.keyword, "message": violation.message}
            for violation in error.violations
        ]
    return body
