"""Refusals as `application/problem+json` (RFC 9457). Public text only: nothing private, no input.

Used by the boundary for requests, and by the server for what is not even a request.
"""

from __future__ import annotations

import orjson
from aiohttp import web

from gateway.errors import (
    GatewayError,
    Internal,
    MediaTypeUnsupported,
    MethodNotAllowed,
    NotFound,
    RequestTimeout,
    SchemaInvalid,
    TooLarge,
)
from gateway.profiles.problem import problem

MEDIA_TYPE = "application/problem+json"
INTERACTION_FIELD = "x-fapi-interaction-id"

_BY_STATUS: dict[int, type[GatewayError]] = {
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTimeout,
    413: TooLarge,
    415: MediaTypeUnsupported,
}
_INVALID_TOKEN = frozenset({"TOKEN_INVALID", "TOKEN_NOT_BOUND"})


def body(error: GatewayError, *, interaction: str) -> bytes:
    return orjson.dumps(problem(error, interaction))


def response(error: GatewayError, *, interaction: str) -> web.Response:
    """The whole answer: status, problem, and the fields that belong to it."""
    answer = web.Response(status=error.status, body=body(error, interaction=interaction), content_type=MEDIA_TYPE)
    answer.headers.update(error.headers)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers[INTERACTION_FIELD] = interaction
    if error.retry_after_seconds is not None:
        answer.headers["Retry-After"] = str(error.retry_after_seconds)
    challenge = _challenge(error)
    if challenge is not None:
        answer.headers.setdefault("WWW-Authenticate", challenge)
    return answer


def of_http_exception(error: web.HTTPException) -> GatewayError:
    """aiohttp's refusal as ours. Its text may hold the path or a value; only the kind is kept, and Allow."""
    if error.status >= 500:
        return Internal()
    allow = error.headers.get("Allow")
    return _BY_STATUS.get(error.status, SchemaInvalid)(headers={"Allow": allow} if allow else None)


def _challenge(error: GatewayError) -> str | None:
    """RFC 9110 §15.5.2: every 401 has one. RFC 6750 §3.1: no error code where no usable token was presented."""
    if error.code == "SCOPE_INSUFFICIENT":
        return 'Bearer error="insufficient_scope"'
    if error.status != 401:
        return None
    return 'Bearer error="invalid_token"' if error.code in _INVALID_TOKEN else "Bearer"
