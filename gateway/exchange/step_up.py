"""Step-up (RFC 9470): some documents need an owner who signed in a short time ago."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import AuthenticationTooOld
from gateway.oauth.access_token import AccessToken


class StepUp:
    """`ages`: document type → seconds since the owner's sign-in, at most. Others need none."""

    def __init__(self, ages: Mapping[str, int]) -> None:
        self._ages = ages

    def require(self, token: AccessToken, document_type: str, *, now: float) -> None:
        """Raises AuthenticationTooOld, whose challenge says what to ask the authorization server for."""
        most = self._ages.get(document_type)
        if most is None or (token.auth_time is not None and now - token.auth_time <= most):
            return
        scheme = "DPoP" if token.jkt is not None else "Bearer"
        challenge = f'{scheme} error="insufficient_user_authentication", max_age="{most}"'  # RFC 9470 §3
        raise AuthenticationTooOld(headers={"WWW-Authenticate": challenge}, private="auth_time")
