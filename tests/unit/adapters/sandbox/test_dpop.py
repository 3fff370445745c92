"""Proofs as RFC 9449 §4.2 has them."""

from __future__ import annotations

import base64
import hashlib

import orjson
from joserfc import jws
from joserfc.jwk import ECKey

from adapters.sandbox.dpop import DPoP

NOW = 1_800_000_000


def test_a_proof_is_signed_by_the_key_that_it_brings() -> None:
    dpop = DPoP()
    proof = dpop.proof("POST", "https://gateway.example/oauth/token?a=b#c", now=NOW, nonce="n")
    header = orjson.loads(base64.urlsafe_b64decode(proof.partition(".")[0] + "=="))
    assert (header["typ"], header["alg"]) == ("dpop+jwt", "ES256")
    assert "d" not in header["jwk"]
    key = ECKey.import_key(header["jwk"])
    assert key.thumbprint() == dpop.thumbprint
    claims = orjson.loads(jws.deserialize_compact(proof, key, algorithms=["ES256"]).payload)
    assert claims.pop("jti")
    assert claims == {"htm": "POST", "htu": "https://gateway.example/oauth/token", "iat": NOW, "nonce": "n"}


def test_a_proof_for_a_token_names_it() -> None:
    proof = DPoP().proof("GET", "https://gateway.example/cdi/v1/consents", now=NOW, token="t")
    payload = proof.split(".")[1]
    claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["ath"] == base64.urlsafe_b64encode(hashlib.sha256(b"t").digest()).rstrip(b"=").decode()
    assert "nonce" not in claims
