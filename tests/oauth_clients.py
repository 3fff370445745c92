"""OAuth clients for tests: their keys, and what they sign. Each value is good, but for what a test changes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
import pytest
from joserfc.jwk import Key

from gateway.oauth.client import Authentication, Client
from gateway.oauth.dpop import Nonces
from gateway.oauth.keys import parse_keys
from gateway.oauth.refusal import OAuthRefusal
from tests.fakes_oauth import b64, ec_key, ed_key, hmac_with_public_key, jwks, rsa_key, sign
from tests.samples import BANK, NOW, unique

ISSUER = "https://consent.gateway.example"
CLIENT = "bank-a"
REDIRECT_URI = "https://bank-a.example/callback"
CONSENT = "5d7e6a1c-9f0a-4f3e-8a43-0a3a4d1e9b11"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
TOKEN_URL = f"{ISSUER}/oauth/token"
NONCES = Nonces(b"n" * 32)

ALL_PARAMETERS = frozenset(
    [
        "client_id",
        "response_type",
        "redirect_uri",
        "scope",
        "code_challenge",
        "code_challenge_method",
        "authorization_details",
        "state",
        "nonce",
        "response_mode",
        "dpop_jkt",
        "max_age",
        "acr_values",
        "prompt",
        "ui_locales",
        "resource",
        "request",
        "request_uri",
        "claims",
    ]
)
ALL_SCOPES = frozenset({"cdi:consents", "cdi:data-requests", "cdi:data-requests:read", "cdi:notices"})


def key(alg: str = "ES256") -> Key:
    """One key for each algorithm for all tests: making them takes time."""
    return _key(alg)


@cache
def _key(alg: str) -> Key:
    return {"ES256": ec_key, "PS256": rsa_key, "EdDSA": ed_key}[alg](f"key-{alg}")


@cache
def stranger() -> Key:
    """A key of somebody else, by the client's name for its own."""
    return ec_key("key-ES256")


KEYS = parse_keys(jwks(key("ES256"), key("PS256"), key("EdDSA")))


def client(**changes: Any) -> Client:
    values: dict[str, Any] = {
        "client_id": CLIENT,
        "participant_id": BANK,
        "authentication": Authentication.PRIVATE_KEY_JWT,
        "keys": KEYS,
        "redirect_uris": (REDIRECT_URI, "https://bank-a.example/other?kept=1"),
        "scopes": ALL_SCOPES,
    }
    return Client(**(values | changes))


def _changed(right: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """None leaves the member out."""
    return {name: value for name, value in (right | changes).items() if value is not None}


def header(alg: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    return _changed({"alg": alg, "kid": f"key-{alg}"}, changes or {})


def assertion(
    alg: str = "ES256", *, by: Key | None = None, head: dict[str, Any] | None = None, now: float = NOW, **changes: Any
) -> str:
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "iat": int(now), "exp": int(now) + 60, "jti": unique("jti")}
    return sign(by or key(alg), header(alg, head), _changed(claims, changes), alg=alg)


def parameters(**changes: Any) -> dict[str, str]:
    """Of an authorization request."""
    right = {
        "client_id": CLIENT,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "cdi:data-requests",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "authorization_details": details(),
        "state": "af0ifjsldkj",
    }
    return _changed(right, changes)


def details(consent_id: str = CONSENT) -> str:
    return orjson.dumps([{"type": "cdi_consent", "consentId": consent_id}]).decode()


def request_object(
    alg: str = "ES256",
    *,
    by: Key | None = None,
    head: dict[str, Any] | None = None,
    now: float = NOW,
    **changes: Any,
) -> str:
    claims: dict[str, Any] = {"iss": CLIENT, "aud": ISSUER, "nbf": int(now), "iat": int(now), "exp": int(now) + 300}
    inside = parameters() | {"authorization_details": orjson.loads(details())}
    typed = {"typ": "oauth-authz-req+jwt"} | (head or {})
    return sign(by or key(alg), header(alg, typed), _changed(claims | inside, changes), alg=alg)


def proof(
    alg: str = "ES256",
    *,
    by: Key | None = None,
    head: dict[str, Any] | None = None,
    now: float = NOW,
    token: str | None = None,
    **changes: Any,
) -> str:
    """A DPoP proof for a token request; with `token`, for a resource of the same URL."""
    signer = by or key(alg)
    right = {"typ": "dpop+jwt", "alg": alg, "jwk": public(signer)}
    claims = {
        "jti": unique("jti"),
        "htm": "POST",
        "htu": TOKEN_URL,
        "iat": int(now),
        "nonce": NONCES.issue(now),
        "ath": b64(hashlib.sha256(token.encode()).digest()) if token is not None else None,
    }
    return sign(signer, _changed(right, head or {}), _changed(claims, changes), alg=alg)


def public(signer: Key) -> dict[str, Any]:
    members = signer.as_dict(private=False)
    return {name: members[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in members}


def unsigned(claims: dict[str, Any], **head: Any) -> str:
    """`alg: none`, and nothing behind the second dot (RFC 7515 appendix A.5)."""
    return f"{b64(orjson.dumps({'alg': 'none'} | head))}.{b64(orjson.dumps(claims))}."


def with_doubled_claim(token: str, name: str, value: Any, *, by: Key, alg: str = "ES256") -> str:
    """The same token with one more claim before the others, twice in its JSON if it was there; properly signed."""
    head, payload, _ = (part.encode() for part in token.split("."))
    doubled = orjson.dumps({name: value})[:-1] + b"," + _decoded(payload)[1:]
    return sign(by, _decoded(head), doubled, alg=alg)


def _decoded(segment: bytes) -> bytes:
    return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))


def confusions(make: Callable[..., str]) -> dict[str, str]:
    """The classic attacks on whoever verifies a JWS (RFC 8725 §2), by name. `make`: signs a good one, see above."""
    good = make()
    head, payload, signature = good.split(".")
    changed = b64(_decoded(payload.encode())[:-1] + b',"x":1}')
    mallory = stranger()
    return {
        "none": unsigned(orjson.loads(_decoded(payload.encode()))),
        "none_capitals": make(head={"alg": "nOnE"}),
        "hmac_with_public_key": make(by=hmac_with_public_key(key("ES256")), alg="HS256"),  # type: ignore[arg-type]
        "rs256": make(by=key("PS256"), alg="RS256", head={"kid": "key-PS256"}),
        "es256_by_rsa_name": make(head={"kid": "key-PS256"}),
        "wrong_key": make(by=mallory),
        "no_signature": f"{head}.{payload}.",
        "cut_signature": f"{head}.{payload}.{signature[:80]}",
        "zero_signature": f"{head}.{payload}.{b64(bytes(64))}",
        "kid_path": make(head={"kid": "../../../../dev/null"}),
        "kid_sql": make(head={"kid": "' UNION SELECT 'key-ES256"}),
        "kid_number": make(head={"kid": 7}),
        "kid_long": make(head={"kid": "k" * 257}),
        "jku": make(by=mallory, head={"jku": "https://mallory.example/jwks"}),
        "x5u": make(by=mallory, head={"x5u": "https://mallory.example/cert"}),
        "x5c": make(by=mallory, head={"x5c": ["AAAA"]}),
        "embedded_jwk": make(by=mallory, head={"jwk": public(mallory)}),
        "crit": make(head={"crit": ["exp"]}),
        "b64": make(head={"b64": False, "crit": ["b64"]}),
        "zip": make(head={"zip": "DEF"}),
        "jwe": f"{good}.{payload}.{signature}",
        "two_segments": f"{head}.{payload}",
        "padded": f"{head}.{payload}.{signature}==",
        "header_not_json": f"{b64(b'alg')}.{payload}.{signature}",
        "claims_not_an_object": f"{head}.{b64(b'[]')}.{signature}",
        "claims_changed": f"{head}.{changed}.{signature}",
        "too_large": make(padding="x" * 20_000),
        "not_ascii": good + "é",
        "empty": "",
    }


def refused(call: Callable[[], object]) -> OAuthRefusal:
    with pytest.raises(OAuthRefusal) as caught:
        call()
    return caught.value
