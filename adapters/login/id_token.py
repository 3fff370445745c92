"""What an ID token must say before anybody is signed in by it (OpenID Connect Core 1.0 §2, §3.1.3.7).

Nothing of a token is used before its signature is right, except `alg` and `kid`, and those only to choose among what is
allowed and known already. Refusals are LoginRefused with a code without values.
"""

from __future__ import annotations

import hmac
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError, MissingClaimError, SecurityWarning
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from gateway.core.ijson import parse
from gateway.errors import SchemaInvalid
from gateway.oauth.jws import REFUSED_MEMBERS
from gateway.oauth.keys import KEY_ID_CHARACTERS_MAX
from gateway.ports.authorization import LoginRefused, SignedIn

TOKEN_CHARACTERS_MAX = 32_768
OWNER_ID_CHARACTERS_MAX = 64  # schemas/cdi/v1: `dataOwnerId`
NAME_CHARACTERS_MAX = 200
ACR_CHARACTERS_MAX = 200
SKEW_SECONDS = 10

_TYPES = frozenset({"jwt", "application/jwt"})  # an access token (RFC 9068), a logout token or a JARM answer is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What was asked. `signed_in_after`: the person must have signed in since (Unix seconds). `acr_values`: one of
    them, unless empty."""

    issuer: str
    client_id: str
    nonce: str
    signed_in_after: float
    acr_values: Sequence[str]
    owner_claim: str


def header_of(token: str, algorithms: Collection[str]) -> tuple[str, str | None]:
    """`alg` and `kid` of an acceptable header. Raises LoginRefused."""
    segments = token.split(".")
    if len(token) > TOKEN_CHARACTERS_MAX or not token.isascii() or len(segments) != 3:
        raise LoginRefused("id_token_malformed")
    try:
        header = parse(urlsafe_b64decode(segments[0].encode()))
    except (SchemaInvalid, ValueError) as error:
        raise LoginRefused("id_token_malformed") from error
    # OpenID Connect Core §2 as well: an ID token should not bring its own key.
    if not isinstance(header, dict) or not REFUSED_MEMBERS.isdisjoint(header):
        raise LoginRefused("id_token_header")
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    # RFC 8725 §3.1: from the list, before any key is looked at.
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise LoginRefused("id_token_algorithm")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise LoginRefused("id_token_type")
    if key_id is not None and (not isinstance(key_id, str) or len(key_id) > KEY_ID_CHARACTERS_MAX):
        raise LoginRefused("id_token_header")
    return algorithm, key_id


def claims_of(token: str, key: Key, algorithm: str) -> dict[str, Any]:
    """The claims under a signature of this key with this algorithm. Raises LoginRefused."""
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)  # RFC 7515 §4: ignore what is unknown
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # about the name EdDSA: RFC 9864 has a newer one
            return jwt.decode(token, key, algorithms=[algorithm], registry=registry).claims
    except (JoseError, ValueError, RecursionError):
        raise LoginRefused("id_token_signature") from None  # the library's texts may hold what they are about


def signed_in(claims: dict[str, Any], expected: Expected, *, now: float) -> SignedIn:
    """Who signed in. Raises LoginRefused."""
    _registered(claims, expected, now=now)
    audience, party = claims["aud"], claims.get("azp")
    # §3.1.3.7 (3)–(5): of several audiences, the authorized party is this client, or the token was made for another.
    if party != expected.client_id and (party is not None or (isinstance(audience, list) and len(audience) > 1)):
        raise LoginRefused("id_token_azp")
    nonce = claims.get("nonce")
    if (
        not isinstance(nonce, str)
        or not nonce.isascii()
        or not hmac.compare_digest(nonce.encode(), expected.nonce.encode())
    ):
        raise LoginRefused("id_token_nonce")
    auth_time = claims.get("auth_time")
    # §3.1.2.1: required whenever `max_age` was asked, and it always was.
    if type(auth_time) is not int or not expected.signed_in_after - SKEW_SECONDS <= auth_time <= now + SKEW_SECONDS:
        raise LoginRefused("id_token_auth_time")
    acr = claims.get("acr")
    if acr is not None and not _is_text(acr, ACR_CHARACTERS_MAX):
        raise LoginRefused("id_token_acr")
    if expected.acr_values and acr not in expected.acr_values:
        raise LoginRefused("id_token_acr")
    owner_id = claims.get(expected.owner_claim)
    if not _is_text(owner_id, OWNER_ID_CHARACTERS_MAX):
        raise LoginRefused("owner_claim")
    name = claims.get("name")
    return SignedIn(
        owner_id=owner_id,
        name=name if _is_text(name, NAME_CHARACTERS_MAX) else "",  # for display only
        auth_time=auth_time,
        acr=acr,
    )


def _registered(claims: dict[str, Any], expected: Expected, *, now: float) -> None:
    rules = jwt.JWTClaimsRegistry(
        now=int(now),
        leeway=SKEW_SECONDS,
        iss={"essential": True, "value": expected.issuer},
        sub={"essential": True},
        aud={"essential": True, "value": expected.client_id},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        rules.validate(claims)
    except MissingClaimError:
        raise LoginRefused("id_token_claims") from None
    except ExpiredTokenError:
        raise LoginRefused("id_token_expired") from None
    except ClaimError as error:
        raise LoginRefused(f"id_token_{error.claim}") from None  # one of the names above, `nbf` or `jti`
    if claims["exp"] <= now:
        raise LoginRefused("id_token_expired")  # the library's leeway is for clocks ahead of ours


def _is_text(value: object, characters_max: int) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= characters_max and value.isprintable()
