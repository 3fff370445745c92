"""Every refusal that a client can see: one flat leaf per wire code (`schemas/codelists/error-code.json`, RFC 9457).

A leaf carries its HTTP status, whether repeating may help, and a public text that never holds a value of
the input. `private` is for the log and the audit entry only. A programmer's error is a built-in exception
and becomes `INTERNAL` at the boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

RETRY_AFTER_DEFAULT_SECONDS = 1
_ALWAYS_RETRY_AFTER = frozenset({429, 503})  # RFC 6585 §4, RFC 9110 §15.6.4: when to come back


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken schema rule: RFC 6901 pointer into the input, the keyword that failed, a text without values."""

    pointer: str
    keyword: str
    message: str


class GatewayError(Exception):
    """Base of all refusals. `detail` is public; `private` goes to log and audit only."""

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str = "",
        *,
        private: str = "",
        retry_after_seconds: int | None = None,
        violations: tuple[Violation, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.private = private
        if retry_after_seconds is None and self.status in _ALWAYS_RETRY_AFTER:
            retry_after_seconds = RETRY_AFTER_DEFAULT_SECONDS
        self.retry_after_seconds = retry_after_seconds
        self.violations = violations
        self.headers = headers or {}


class SchemaInvalid(GatewayError):
    code, status, title = "SCHEMA_INVALID", 400, "The message does not follow its schema"


class SchemaVersionUnsupported(GatewayError):
    code, status, title = "SCHEMA_VERSION_UNSUPPORTED", 400, "This version of the message is not supported"


class IdempotencyKeyMissing(GatewayError):
    code, status, title = "IDEMPOTENCY_KEY_MISSING", 400, "The Idempotency-Key field is required here"


class TokenMissing(GatewayError):
    code, status, title = "TOKEN_MISSING", 401, "An access token is required"


class TokenInvalid(GatewayError):
    code, status, title = "TOKEN_INVALID", 401, "The access token is not valid"


class TokenNotBound(GatewayError):
    code, status, title = "TOKEN_NOT_BOUND", 401, "The access token is not bound to what this client shows"


class AuthenticationTooOld(GatewayError):
    code, status, title = "AUTHENTICATION_TOO_OLD", 401, "The data owner must sign in again for this"


class CertUnknown(GatewayError):
    code, status, title = "CERT_UNKNOWN", 401, "The client certificate belongs to no participant"


class CertExpired(GatewayError):
    code, status, title = "CERT_EXPIRED", 401, "The client certificate is not within its validity"


class CertRevoked(GatewayError):
    code, status, title = "CERT_REVOKED", 401, "The client certificate is revoked"


class ScopeInsufficient(GatewayError):
    code, status, title = "SCOPE_INSUFFICIENT", 403, "The access token lacks the scope for this call"


class ParticipantSuspended(GatewayError):
    code, status, title = "PARTICIPANT_SUSPENDED", 403, "The participant is suspended"


class DirectionNotPermitted(GatewayError):
    code, status, title = "DIRECTION_NOT_PERMITTED", 403, "The participant may not do this"


class ConsentNotFound(GatewayError):
    code, status, title = "CONSENT_NOT_FOUND", 403, "No such consent"


class ConsentPending(GatewayError):
    code, status, title = "CONSENT_PENDING", 403, "The data owner has not approved the consent yet"


class ConsentExpired(GatewayError):
    code, status, title = "CONSENT_EXPIRED", 403, "The consent has expired"


class ConsentRevoked(GatewayError):
    code, status, title = "CONSENT_REVOKED", 403, "The consent was revoked or rejected"


class ConsentConsumed(GatewayError):
    code, status, title = "CONSENT_CONSUMED", 403, "All uses of the consent are taken"


class ConsentScopeExceeded(GatewayError):
    code, status, title = "CONSENT_SCOPE_EXCEEDED", 403, "The consent does not cover this document or source"


class ConsentPurposeMismatch(GatewayError):
    code, status, title = "CONSENT_PURPOSE_MISMATCH", 403, "The consent was given for another purpose"


class NotFound(GatewayError):
    code, status, title = "NOT_FOUND", 404, "Not found"


class MethodNotAllowed(GatewayError):
    code, status, title = "METHOD_NOT_ALLOWED", 405, "The method is not allowed here"


class RequestTimeout(GatewayError):
    code, status, title, retryable = "REQUEST_TIMEOUT", 408, "The request did not arrive in time", True


class ReplayDetected(GatewayError):
    code, status, title = "REPLAY_DETECTED", 409, "This message was seen before"


class StateConflict(GatewayError):
    code, status, title = "STATE_CONFLICT", 409, "The object is not in a state that allows this"


class TooLarge(GatewayError):
    code, status, title = "TOO_LARGE", 413, "The request is larger than the limit"


class MediaTypeUnsupported(GatewayError):
    code, status, title = "MEDIA_TYPE_UNSUPPORTED", 415, "The media type is not supported here"


class IdempotencyConflict(GatewayError):
    code, status, title = "IDEMPOTENCY_CONFLICT", 422, "The Idempotency-Key was used with another request"


class RateLimited(GatewayError):
    code, status, title, retryable = "RATE_LIMITED", 429, "Too many requests", True


class UpstreamUnavailable(GatewayError):
    code, status, title, retryable = "UPSTREAM_UNAVAILABLE", 503, "A service that this needs is unavailable", True


class AuditUnavailable(GatewayError):
    code, status, title, retryable = "AUDIT_UNAVAILABLE", 503, "The audit log cannot be written", True


class Overloaded(GatewayError):
    code, status, title, retryable = "OVERLOADED", 503, "The gateway is busy", True


class Internal(GatewayError):
    code, status, title, retryable = "INTERNAL", 500, "Internal error", False


ERRORS: tuple[type[GatewayError], ...] = tuple(
    sorted(GatewayError.__subclasses__(), key=lambda leaf: (leaf.status, leaf.code))
)
"""Every wire code once, by status: the truth for the OpenAPI document and its tests."""
