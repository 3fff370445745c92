"""ES256 keys of the sandbox's parties: a signer (`gateway.ports.Signer`) and the JWKS that others check it with."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from adapters.sandbox.files import write_public, write_secret
from adapters.sandbox.pki import key_pem, read_key

_ES256 = ec.ECDSA(hashes.SHA256())


class KeySigner:
    """Signs compact JWS (RFC 7515 §7.1) with one P-256 key."""

    def __init__(self, key_id: str, key: ec.EllipticCurvePrivateKey) -> None:
        self.key_id = key_id
        self._key = key

    @classmethod
    def create(cls, key_id: str) -> KeySigner:
        return cls(key_id, ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def read(cls, key_id: str, file: Path) -> KeySigner:
        return cls(key_id, read_key(file))

    def write(self, file: Path) -> None:
        write_secret(file, key_pem(self._key))

    def sign_jws(self, header: dict[str, str], payload: bytes) -> str:
        protected = orjson.dumps({**header, "alg": "ES256", "kid": self.key_id})
        signed = base64url(protected) + "." + base64url(payload)
        r, s = decode_dss_signature(self._key.sign(signed.encode(), _ES256))
        return signed + "." + base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def public_jwk(self) -> dict[str, str]:
        """RFC 7517 public key."""
        point = self._key.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": base64url(point.x.to_bytes(32, "big")),
            "y": base64url(point.y.to_bytes(32, "big")),
            "kid": self.key_id,
            "alg": "ES256",
            "use": "sig",
        }


def write_jwks(file: Path, signers: Sequence[KeySigner]) -> None:
    write_public(file, jwks(signers))


def jwks(signers: Sequence[KeySigner]) -> bytes:
    return orjson.dumps({"keys": [signer.public_jwk() for signer in signers]})


def base64url(data: bytes) -> str:
    """Without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
