"""A client's side of DPoP (RFC 9449): its key, its proofs, and the nonces that servers gave it."""

from __future__ import annotations

import hashlib
import uuid

import orjson
from joserfc import jws
from joserfc.jwk import ECKey

from adapters.sandbox.signing import base64url


class DPoP:
    """A key for as long as the process runs. What it signs is bound to one method and address (§4.2)."""

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256")

    @property
    def thumbprint(self) -> str:
        """`jkt` (RFC 7638)."""
        return self._key.thumbprint()

    def proof(self, method: str, url: str, *, now: int, nonce: str | None = None, token: str | None = None) -> str:
        """The value of the header `DPoP`; with a `token` for the resource server."""
        claims: dict[str, object] = {
            "jti": str(uuid.uuid4()),
            "htm": method,
            "htu": url.partition("#")[0].partition("?")[0],
            "iat": now,
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if token is not None:
            claims["ath"] = base64url(hashlib.sha256(token.encode()).digest())
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self._key.as_dict(private=False)}
        return jws.serialize_compact(header, orjson.dumps(claims), self._key, algorithms=["ES256"])
