"""Certificates without an authority: self-signed ones of clients (RFC 8705 §2.2), good and bad, and what they issue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

Pair = tuple[bytes, bytes]
"""Certificate and key, PEM."""


def self_signed(name: str, *, ca: bool | None = False) -> Pair:
    """`ca`: of its basicConstraints; None: it has none."""
    return _issued(name, ca=ca)


def issued_by(issuer: Pair, name: str) -> Pair:
    """A certificate that a holder of this one signed as if it were an authority's."""
    certificate, key_pem = issuer
    key = _key(key_pem)
    return _issued(name, ca=False, issuer=(x509.load_pem_x509_certificate(certificate).subject, key))


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _issued(name: str, *, ca: bool | None, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, issuer_key = issuer or (subject, key)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    certificate = builder.sign(issuer_key, SHA256())
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
