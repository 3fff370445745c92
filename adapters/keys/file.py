"""Keys in files: signing (ES256), sealing (AES-256-GCM), and secrets. Read once, at start.

A key file that others may read or write is refused; its bytes are in no message.
"""

from __future__ import annotations

import hmac
import os
import stat
from base64 import urlsafe_b64encode
from copy import copy
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_ECDSA = ec.ECDSA(hashes.SHA256())
_NONCE_BYTES = 12  # 96 bit, NIST SP 800-38D §8.2.2: random, so at most 2^32 values under one key
_KEY_BYTES = 32
_KEY_FILE_BYTES_MAX = 64 * 1024


class KeyFileRefused(ValueError):
    """A key file that cannot be used, and why."""


def read_secret(path: Path, *, bytes_min: int = _KEY_BYTES) -> bytes:
    """A symmetric key: the file's bytes, or what they spell when they are hex digits. Raises KeyFileRefused."""
    data = read_key_file(path)
    try:
        secret = bytes.fromhex(data.decode("ascii"))
    except ValueError:
        secret = data  # UnicodeDecodeError is one too: not text, so it is the key itself
    if len(secret) < bytes_min:
        raise KeyFileRefused(f"{path}: holds {len(secret)} bytes, needs {bytes_min} random ones (or their hex digits)")
    return secret


class FileSigner:
    """See `ports.Signer`. The file is an unencrypted PEM private key on P-256."""

    def __init__(self, path: Path, key_id: str) -> None:
        self.key_id = key_id
        self._key = _p256(path)
        self._headers: dict[str, bytes] = {}

    def sign_jws(self, header: dict[str, str], payload: bytes) -> str:
        """The header is written once for each type: this is on the hot path."""
        if header.keys() != {"typ"}:
            raise ValueError("alg and kid are the signer's to say, and nothing but typ is the caller's")
        protected = self._headers.get(header["typ"])
        if protected is None:
            members = {"alg": "ES256", "kid": self.key_id, "typ": header["typ"]}
            protected = self._headers[header["typ"]] = _base64url(orjson.dumps(members))
        signed = protected + b"." + _base64url(payload)
        r, s = decode_dss_signature(self._key.sign(signed, _ECDSA))
        # RFC 7518 §3.4: R and S, 32 bytes each, big-endian
        return (signed + b"." + _base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()

    def public_jwk(self) -> dict[str, str]:
        """The public key as others find it (RFC 7517)."""
        point = self._key.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": _base64url(point.x.to_bytes(32, "big")).decode(),
            "y": _base64url(point.y.to_bytes(32, "big")).decode(),
            "kid": self.key_id,
            "alg": "ES256",
            "use": "sig",
        }


class AesGcmSealer:
    """See `ports.Sealer`. Sealed bytes are nonce, ciphertext and tag."""

    def __init__(self, path: Path) -> None:
        key = read_secret(path)
        if len(key) != _KEY_BYTES:
            raise KeyFileRefused(f"{path}: AES-256 takes exactly {_KEY_BYTES} bytes, not {len(key)}")
        self._cipher, self._key = AESGCM(key), key

    def derived(self, use: str) -> AesGcmSealer:
        """Another key for another use, so that what one seals does not count against the nonces of the other."""
        sealer = copy(self)
        sealer._key = hmac.digest(self._key, f"derived {use}".encode(), "sha256")
        sealer._cipher = AESGCM(sealer._key)
        return sealer

    def seal(self, text: str, *, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), context.encode())

    def open(self, sealed: bytes, *, context: str) -> str:
        try:
            text = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except InvalidTag as error:
            raise ValueError("sealed value, its context or the key does not fit") from error
        return text.decode()


def _p256(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(read_key_file(path), password=None)
    except (ValueError, TypeError) as error:
        if isinstance(error, KeyFileRefused):
            raise
        raise KeyFileRefused(f"{path}: is not an unencrypted PEM private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileRefused(f"{path}: is not a P-256 key")
    return key


def read_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileRefused(f"{path}: cannot be read: {error.strerror}") from error
    # Group read stays allowed: Kubernetes mounts secrets as 0440 for the pod's fsGroup.
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise KeyFileRefused(f"{path}: others may read or write it; run `chmod 600 {path}`")
    if len(data) > _KEY_FILE_BYTES_MAX:
        raise KeyFileRefused(f"{path}: is larger than {_KEY_FILE_BYTES_MAX} bytes")
    return data


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
