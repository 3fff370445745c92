"""A token issuer for tests: real keys, real signatures, and every liberty to sign what it should not."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from adapters.issuers.jwks import FetchFailed

NOW = 1_800_000_000
ISSUER = "https://as.example"
RESOURCE = "https://gateway.example"
THUMBPRINT = "A" * 43


def ec_key(kid: str = "ec") -> ECKey:
    return ECKey.generate_key("P-256", parameters={"kid": kid})


def rsa_key(kid: str = "rsa") -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": kid})


def ed_key(kid: str = "ed") -> OKPKey:
    return OKPKey.generate_key("Ed25519", parameters={"kid": kid})


def jwks(*keys: Key, private: bool = False) -> bytes:
    return orjson.dumps({"keys": [key.as_dict(private=private) for key in keys]})


def claims(**changes: Any) -> dict[str, Any]:
    value = {
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": "pairwise-7",
        "client_id": "bank-a",
        "jti": "4d6b",
        "iat": NOW - 10,
        "exp": NOW + 290,
        "scope": "cdi:data-requests",
        "cnf": {"x5t#S256": THUMBPRINT},
    }
    return value | changes


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(key: Key, header: dict[str, Any] | bytes, payload: dict[str, Any] | bytes, *, alg: str | None = None) -> str:
    """A compact JWS with exactly this header; signed with `alg`, or with the header's own."""
    if isinstance(header, dict):
        alg = alg or header["alg"]
        header = orjson.dumps(header)
    if isinstance(payload, dict):
        payload = orjson.dumps(payload)
    signing_input = f"{b64(header)}.{b64(payload)}"
    signature = JWSRegistry.algorithms[str(alg)].sign(signing_input.encode(), key)
    return f"{signing_input}.{b64(signature)}"


def token(key: Key, alg: str = "ES256", *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A good access token, but for what is changed."""
    return sign(key, {"typ": "at+jwt", "alg": alg, "kid": key.kid} | (header or {}), claims(**changes), alg=alg)


def hmac_with_public_key(key: ECKey) -> OctKey:
    """The classic confusion: the public key's PEM as an HMAC secret."""
    return OctKey.import_key(key.as_pem(private=False).hex())


class FakeFetch:
    """A key source that can change its document and break on demand."""

    def __init__(self, document: bytes) -> None:
        self.document = document
        self.failure: str | None = None
        self.calls = 0

    async def __call__(self) -> bytes:
        self.calls += 1
        if self.failure is not None:
            raise FetchFailed(self.failure)
        return self.document
