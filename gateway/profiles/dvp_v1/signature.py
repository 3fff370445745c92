"""Compact JWS (RFC 7515) with ES256 by a key that we know already: the one way in which `dvp/v1` signs anything.

Nothing in a header chooses the algorithm or the key material: `kid` selects among given keys, all else must be equal
to what is expected (RFC 8725 §3.1, §3.11).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Protocol

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

KeySet = Mapping[str, ec.EllipticCurvePublicKey]
"""Public P-256 keys by `kid`."""

_ALGORITHM = "ES256"
_ECDSA = ec.ECDSA(hashes.SHA256())
_HALF_BYTES = 32  # RFC 7518 §3.4: R and S, each of the curve's size, big-endian
_HEADER_BYTES_MAX = 1024
_HEADER_MEMBERS = {"alg", "kid", "typ"}
_URLSAFE = bytes.maketrans(b"-_+/", b"+/!!")  # RFC 4648 §5 to §4, and §4's own letters to none


class Signer(Protocol):
    """What is needed of `ports.Signer`: a compact JWS with `alg` and `kid` added to the header."""

    def sign_jws(self, header: dict[str, str], payload: bytes) -> str: ...


class SignatureError(Exception):
    """`reason` is TYPE, ALGORITHM or SIGNATURE; nothing of the token is in the text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def key_set(jwks: bytes) -> dict[str, ec.EllipticCurvePublicKey]:
    """The keys of a JWK Set (RFC 7517) document. Raises ValueError for anything but public P-256 keys with own kids."""
    document = orjson.loads(jwks)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list) or not document["keys"]:
        raise ValueError("not a JWK Set with keys")
    keys: dict[str, ec.EllipticCurvePublicKey] = {}
    for jwk in document["keys"]:
        if not isinstance(jwk, dict) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" in jwk:
            raise ValueError("every key must be a public P-256 key")
        kid = jwk.get("kid")
        if not isinstance(kid, str) or not kid or kid in keys:
            raise ValueError("every key needs its own kid")
        try:
            keys[kid] = ECKey.import_key(jwk).public_key
        except (JoseError, ValueError, TypeError) as error:
            raise ValueError("a key is not a point of P-256") from error
    return keys


def sign(signer: Signer, typ: str, payload: bytes) -> str:
    """Compact JWS of this type."""
    return signer.sign_jws({"typ": typ}, payload)


def sign_detached(signer: Signer, typ: str, payload: bytes) -> str:
    """The same with the payload left out (RFC 7515 appendix F): `header..signature`."""
    header, _, signature = signer.sign_jws({"typ": typ}, payload).split(".")
    return f"{header}..{signature}"


def verify(token: bytes, keys: KeySet, typ: str) -> bytes:
    """The signed payload. Raises SignatureError.

    No second text verifies alike: a token is its signature's only spelling.
    """
    parts = token.split(b".")
    if len(parts) != 3:
        raise SignatureError("TYPE")
    header, payload, signature = parts
    key = _key(header, keys, typ)
    # The algorithm itself, not a JWS library's parser: the header is read once, so there is no second opinion on it.
    pair = _signature(signature)
    r, s = int.from_bytes(pair[:_HALF_BYTES], "big"), int.from_bytes(pair[_HALF_BYTES:], "big")
    try:
        key.verify(encode_dss_signature(r, s), header + b"." + payload, _ECDSA)
    except InvalidSignature as error:
        raise SignatureError("SIGNATURE") from error
    return _decoded(payload)


def verify_detached(token: str, payload: bytes, keys: KeySet, typ: str) -> bool:
    """Whether `header..signature` is a signature of this type over `payload` by one of the keys."""
    header, separator, signature = token.partition("..")
    if not separator or not token.isascii():
        return False
    attached = b".".join((header.encode(), base64.urlsafe_b64encode(payload).rstrip(b"="), signature.encode()))
    try:
        verify(attached, keys, typ)
    except SignatureError:
        return False
    return True


def names_another_key(token: str, keys: KeySet) -> bool:
    """Whether the token's header names a key (`kid`) that is not among these: rolled over, or a stranger's.

    Such a token can be neither believed nor called false.
    """
    try:
        header = orjson.loads(_decoded(token.partition(".")[0].encode()))
    except (SignatureError, orjson.JSONDecodeError):
        return False
    kid = header.get("kid") if isinstance(header, dict) else None
    return isinstance(kid, str) and kid not in keys


def _key(segment: bytes, keys: KeySet, typ: str) -> ec.EllipticCurvePublicKey:
    if len(segment) > _HEADER_BYTES_MAX:
        raise SignatureError("TYPE")
    try:
        header = orjson.loads(_decoded(segment))
    except orjson.JSONDecodeError as error:
        raise SignatureError("TYPE") from error
    # Exactly these members: jwk, jku, x5c, x5u, crit and b64 would let the message speak about its own keys and form.
    if not isinstance(header, dict) or header.keys() != _HEADER_MEMBERS or header["typ"] != typ:
        raise SignatureError("TYPE")
    if header["alg"] != _ALGORITHM:
        raise SignatureError("ALGORITHM")
    key = keys.get(header["kid"]) if isinstance(header["kid"], str) else None
    if key is None:
        raise SignatureError("SIGNATURE")
    return key


def _decoded(segment: bytes) -> bytes:
    try:
        return binascii.a2b_base64(segment.translate(_URLSAFE) + b"=" * (-len(segment) % 4), strict_mode=True)
    except ValueError as error:
        raise SignatureError("SIGNATURE") from error


def _signature(segment: bytes) -> bytes:
    data = _decoded(segment)
    # RFC 4648 §3.5: unused bits are not free. The other segments are signed as text, so only this one could be respelt.
    if len(data) != 2 * _HALF_BYTES or base64.urlsafe_b64encode(data).rstrip(b"=") != segment:
        raise SignatureError("SIGNATURE")
    return data
