"""Client assertions (`private_key_jwt`: RFC 7523, FAPI 2.0 §5.3.2.1): is this client who it says, and meant for us?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from gateway.oauth.claims import numeric_date
from gateway.oauth.client import Client
from gateway.oauth.jws import JwsInvalid, algorithm_and_key_id, parse_jws, verified
from gateway.oauth.refusal import OAuthRefusal

CHARACTERS_MAX = 8_192
LIFETIME_SECONDS_MAX = 300
SKEW_SECONDS = 10  # FAPI 2.0 §5.3.2.1 (13): up to 10 s in the future is accepted, more than 60 s refused
TOKEN_ID_CHARACTERS_MAX = 256
# RFC 8725 §3.11: what the client signed to be something else (a request object, a DPoP proof) proves nothing here.
_TYPES = frozenset({"jwt", "client-authentication+jwt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """`token_id`: its `jti`, which counts once until `expires_at` (Unix seconds)."""

    token_id: str
    expires_at: int


def peek_client_id(assertion: str) -> str | None:
    """Whose it says to be (`sub`), unverified: only to find the client by whose keys it is checked."""
    try:
        subject = parse_jws(assertion, characters_max=CHARACTERS_MAX).claims.get("sub")
    except JwsInvalid:
        return None
    return subject if isinstance(subject, str) else None


def check_assertion(assertion: str, client: Client, *, issuer: str, now: float) -> Assertion:
    """Raises OAuthRefusal `invalid_client`. That its `jti` comes once is for the caller to see to."""
    try:
        jws = parse_jws(assertion, characters_max=CHARACTERS_MAX)
        algorithm, key_id = algorithm_and_key_id(jws, types=_TYPES if "typ" in jws.header else None)
        if client.keys is None:
            _refuse("key")
        verified(jws, client.keys, algorithm, key_id)
    except JwsInvalid as error:
        _refuse(error.fault)
    claims = jws.claims
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:  # RFC 7523 §3 (1), (2)
        _refuse("identity")
    # FAPI 2.0 §5.3.2.1 (8): the issuer, as one string; an array could name other servers too.
    if claims.get("aud") != issuer:
        _refuse("audience")
    expires_at = _time(claims, "exp")
    if not now < expires_at <= now + LIFETIME_SECONDS_MAX + SKEW_SECONDS:
        _refuse("expiry")
    for name in ("iat", "nbf"):
        if name in claims and _time(claims, name) > now + SKEW_SECONDS:
            _refuse("not_before")
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not 0 < len(token_id) <= TOKEN_ID_CHARACTERS_MAX:
        _refuse("token_id")
    return Assertion(token_id=token_id, expires_at=expires_at)


def _time(claims: dict[str, Any], name: str) -> int:
    value = numeric_date(claims.get(name))
    if value is None:
        _refuse("time")
    return value


def _refuse(fault: str) -> NoReturn:
    raise OAuthRefusal(
        "invalid_client", "The client could not be authenticated", reason=f"assertion_{fault}", status=401
    )
