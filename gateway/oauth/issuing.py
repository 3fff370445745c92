"""What the server says in tokens and answers: RFC 9068, RFC 6749 §5.1, RFC 7662, RFC 9701. Values in, JSON out."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.oauth.grant import OAuthGrant

_INTROSPECTED = (
    "iss",
    "aud",
    "sub",
    "client_id",
    "scope",
    "jti",
    "iat",
    "exp",
    "cnf",
    "grant_id",
    "auth_time",
    "acr",
    "authorization_details",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What a token is bound to: a certificate (RFC 8705 §3.1) or a DPoP key (RFC 9449 §6.1), exactly one of them."""

    x5t: str | None = None
    jkt: str | None = None

    def __post_init__(self) -> None:
        if (self.x5t is None) == (self.jkt is None):
            raise ValueError("a token is bound to one thing")

    @property
    def claim(self) -> dict[str, str]:
        return {"jkt": self.jkt} if self.jkt is not None else {"x5t#S256": self.x5t or ""}

    @property
    def token_type(self) -> str:
        return "DPoP" if self.jkt is not None else "Bearer"


def access_token_claims(
    *,
    issuer: str,
    resource: str,
    subject: str,
    client_id: str,
    scopes: Sequence[str],
    token_id: str,
    now: int,
    life_seconds: int,
    confirmation: Confirmation,
    grant: OAuthGrant | None = None,
    authorization_details: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """RFC 9068 §2.2. With a `grant`: what was granted, and how its owner had signed in."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": resource,
        "sub": subject,
        "client_id": client_id,
        "scope": " ".join(scopes),
        "jti": token_id,
        "iat": now,
        "exp": now + life_seconds,
        "cnf": confirmation.claim,
    }
    if grant is not None:
        claims["grant_id"] = grant.grant_id
        if grant.auth_time is not None:
            claims["auth_time"] = grant.auth_time
        if grant.acr is not None:
            claims["acr"] = grant.acr
    if authorization_details:
        claims["authorization_details"] = list(authorization_details)
    return claims


def token_answer(
    *,
    access_token: str,
    confirmation: Confirmation,
    expires_in: int,
    scopes: Sequence[str],
    grant_id: str | None = None,
    authorization_details: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """RFC 6749 §5.1, RFC 9396 §7, Grant Management §6.2."""
    answer: dict[str, Any] = {
        "access_token": access_token,
        "token_type": confirmation.token_type,
        "expires_in": expires_in,
        "scope": " ".join(scopes),
    }
    if grant_id is not None:
        answer["grant_id"] = grant_id
    if authorization_details:
        answer["authorization_details"] = list(authorization_details)
    return answer


def introspection_body(claims: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7662 §2.2, of the claims of a token that is good now."""
    known = {name: claims[name] for name in _INTROSPECTED if name in claims}
    token_type = "DPoP" if "jkt" in claims.get("cnf", {}) else "Bearer"
    return {"active": True, "token_type": token_type, **known}


def signed_introspection_claims(*, issuer: str, client_id: str, body: Mapping[str, Any], now: int) -> dict[str, Any]:
    """RFC 9701 §5: for the client that asked."""
    return {"iss": issuer, "aud": client_id, "iat": now, "token_introspection": dict(body)}


def pairwise(key: bytes, client_id: str, subject: str) -> str:
    """Another pseudonym of the same person for each client (OpenID Connect Core §8.1)."""
    tag = hmac.digest(key, f"pairwise\x00{client_id}\x00{subject}".encode(), "sha256")
    return base64.urlsafe_b64encode(tag).rstrip(b"=").decode()
