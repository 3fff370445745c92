"""The refusals of the authorization server: RFC 6749 §5.2 codes and those of its extensions.

`description` is public and holds no value of the input; `reason` is a bounded code for log, metric and audit entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES = frozenset(
    {
        "access_denied",
        "insufficient_scope",
        "insufficient_user_authentication",  # RFC 9470
        "invalid_authorization_details",  # RFC 9396
        "invalid_client",
        "invalid_dpop_proof",  # RFC 9449
        "invalid_grant",
        "invalid_request",
        "invalid_request_object",  # RFC 9101
        "invalid_request_uri",
        "invalid_scope",
        "invalid_target",  # RFC 8707
        "invalid_token",  # RFC 6750
        "login_required",
        "request_not_supported",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
        "unsupported_token_type",  # RFC 7009
        "use_dpop_nonce",  # RFC 9449
    }
)


class OAuthRefusal(Exception):
    """A refusal as an OAuth client sees it. `status`: of the HTTP answer at a back-channel endpoint."""

    def __init__(
        self,
        code: str,
        description: str,
        *,
        reason: str,
        status: int = 400,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        if code not in CODES:
            raise ValueError(f"{code} is no OAuth error code")
        super().__init__(description)
        self.code = code
        self.description = description
        self.reason = reason
        self.status = status
        self.headers = headers
