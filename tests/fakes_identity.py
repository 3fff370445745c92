"""A client of the sandbox's identity provider: its key, and the assertions that it signs."""

from __future__ import annotations

from typing import Any

import orjson
from joserfc.jwk import KeySetSerialization

from adapters.sandbox.assertions import ASSERTION_TYPE, Assertions
from adapters.sandbox.signing import KeySigner, jwks

NOW = 1_800_000_000
ISSUER = "https://login.example"
SIGNER = KeySigner.create("login-1")
CLAIMS = {"iss": "gateway", "sub": "gateway", "aud": ISSUER, "jti": "1", "iat": NOW, "exp": NOW + 60}


def assertions() -> Assertions:
    keys: KeySetSerialization = orjson.loads(jwks([SIGNER]))
    return Assertions(client_id="gateway", jwks=keys, audiences=frozenset({ISSUER, f"{ISSUER}/token"}))


def form(claims: dict[str, Any] | None = None, signer: KeySigner = SIGNER) -> dict[str, str]:
    assertion = signer.sign_jws({"typ": "JWT"}, orjson.dumps(claims if claims is not None else CLAIMS))
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
