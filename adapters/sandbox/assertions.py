"""How the identity provider knows its client: `private_key_jwt` (RFC 7523 §3, OpenID Connect Core §9), ES256 alone."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from adapters.sandbox.bounded import Bounded
from adapters.sandbox.identity_request import ProviderRefusal

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFETIME_SECONDS_MAX = 300
_SKEW_SECONDS = 10
_CHARACTERS_MAX = 8_192
_REMEMBERED_MAX = 10_000


class Assertions:
    """The assertions of one client. `audiences`: the issuer and its token endpoint; one of them, as a single text."""

    def __init__(self, *, client_id: str, jwks: KeySetSerialization, audiences: frozenset[str]) -> None:
        self._client_id, self._audiences = client_id, audiences
        self._keys = KeySet.import_key_set(jwks)
        self._seen = Bounded[bool](_REMEMBERED_MAX, lifetime_seconds=_LIFETIME_SECONDS_MAX + 2 * _SKEW_SECONDS)

    def check(self, form: Mapping[str, str], *, now: int) -> None:
        """Raises ProviderRefusal: `invalid_client`."""
        claims = self._verified(form)
        if claims is None or not self._fits(claims, now=now):
            raise ProviderRefusal("invalid_client", "the client has not proved who it is", status=401)
        self._seen.put(claims["jti"], True, now=now)

    def _verified(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        assertion = form.get("client_assertion", "")
        if form.get("client_assertion_type") != ASSERTION_TYPE or len(assertion) > _CHARACTERS_MAX:
            return None
        try:
            return jwt.decode(assertion, self._keys, algorithms=["ES256"]).claims
        except (JoseError, ValueError, TypeError):
            return None

    def _fits(self, claims: Mapping[str, Any], *, now: int) -> bool:
        texts = [claims.get(name) for name in ("iss", "sub", "aud", "jti")]
        issued, expires, start = claims.get("iat", now), claims.get("exp"), claims.get("nbf", now)
        if not all(isinstance(text, str) and text for text in texts):
            return False
        if any(type(time) is not int for time in (issued, expires, start)):
            return False
        return (
            hmac.compare_digest(claims["iss"].encode(), self._client_id.encode())
            and claims["sub"] == claims["iss"]
            and claims["aud"] in self._audiences
            and now < claims["exp"] <= now + _LIFETIME_SECONDS_MAX + _SKEW_SECONDS
            and max(issued, start) <= now + _SKEW_SECONDS
            and self._seen.get(claims["jti"], now=now) is None
        )
