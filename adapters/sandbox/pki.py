"""X.509 of the sandbox: authorities, server and client certificates, revocation lists (RFC 5280). All P-256.

Also what a test needs of a bad one: expired, self-signed, from an unknown authority, revoked.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapters.sandbox.files import write_public, write_secret

DAY_SECONDS = 86_400
LEAF_SECONDS = 90 * DAY_SECONDS
AUTHORITY_SECONDS = 3_650 * DAY_SECONDS
_BACKDATED_SECONDS = 300  # clocks of other machines may be behind
_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_TIMESTAMPING = ExtendedKeyUsageOID.TIME_STAMPING


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate with its key. Files are PEM; the key's is readable by its owner only."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def sha256(self) -> str:
        """Hex SHA-256 over DER."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def write(self, certificate_file: Path, key_file: Path) -> None:
        write_public(certificate_file, self.certificate_pem)
        write_secret(key_file, key_pem(self.key))


class Authority:
    """A root that signs leaves directly, and revocation lists."""

    def __init__(self, issued: Issued) -> None:
        self._own = issued

    @classmethod
    def create(cls, name: str, *, now: int) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        builder = (
            _builder(subject, subject, key, now - _BACKDATED_SECONDS, now + AUTHORITY_SECONDS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
        )
        return cls(Issued(certificate=builder.sign(key, hashes.SHA256()), key=key))

    @classmethod
    def read(cls, certificate_file: Path, key_file: Path) -> Authority:
        return cls(read_issued(certificate_file, key_file))

    def write(self, certificate_file: Path, key_file: Path) -> None:
        self._own.write(certificate_file, key_file)

    @property
    def certificate_pem(self) -> bytes:
        return self._own.certificate_pem

    def server(self, name: str, *, now: int, hosts: tuple[str, ...] = ("localhost", "127.0.0.1")) -> Issued:
        return self._leaf(name, now - _BACKDATED_SECONDS, now + LEAF_SECONDS, _SERVER, hosts=hosts)

    def client(self, name: str, *, now: int, lifetime_seconds: int = LEAF_SECONDS) -> Issued:
        """A client certificate of CN `name`. A negative lifetime makes one that has expired."""
        start = min(now, now + lifetime_seconds) - _BACKDATED_SECONDS
        return self._leaf(name, start, now + lifetime_seconds, _CLIENT)

    def timestamping(self, name: str, *, now: int) -> Issued:
        """A certificate for time-stamping alone (RFC 3161 §2.3)."""
        return self._leaf(name, now - _BACKDATED_SECONDS, now + LEAF_SECONDS, _TIMESTAMPING)

    def revocation_list(self, serials: tuple[int, ...] = (), *, now: int, number: int = 1) -> bytes:
        """A PEM CRL (RFC 5280 §5) that holds these serial numbers."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._own.certificate.subject)
            .last_update(_time(now - _BACKDATED_SECONDS))
            .next_update(_time(now + LEAF_SECONDS))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(_authority_key(self._own), critical=False)
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_time(now)).build()
            builder = builder.add_revoked_certificate(revoked)
        return builder.sign(self._own.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _leaf(
        self, name: str, start: int, end: int, purpose: x509.ObjectIdentifier, *, hosts: tuple[str, ...] = ()
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_name(name), self._own.certificate.subject, key, start, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=purpose == _TIMESTAMPING)
            .add_extension(_authority_key(self._own), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(_host_names(hosts)), critical=False)
        return Issued(certificate=builder.sign(self._own.key, hashes.SHA256()), key=key)


def self_signed(name: str, *, now: int) -> Issued:
    """A client certificate that chains to nobody."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(name), _name(name), key, now - _BACKDATED_SECONDS, now + LEAF_SECONDS).add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    return Issued(certificate=builder.sign(key, hashes.SHA256()), key=key)


def revoke(authority: Authority, certificates: tuple[x509.Certificate, ...], crl_file: Path, *, now: int) -> None:
    """Write a revocation list that holds these and all that the file held before."""
    before: tuple[int, ...] = ()
    number = 1
    if crl_file.exists():
        old = x509.load_pem_x509_crl(crl_file.read_bytes())
        before = tuple(entry.serial_number for entry in old)
        number = old.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1
    serials = dict.fromkeys((*before, *(certificate.serial_number for certificate in certificates)))
    write_public(crl_file, authority.revocation_list(tuple(serials), now=now, number=number))


def read_issued(certificate_file: Path, key_file: Path) -> Issued:
    return Issued(certificate=x509.load_pem_x509_certificate(certificate_file.read_bytes()), key=read_key(key_file))


def read_key(file: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{file.name}: not a P-256 key")  # noqa: TRY004  the file's content is wrong
    return key


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: int, end: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(start))
        .not_valid_after(_time(end))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key(authority: Issued) -> x509.AuthorityKeyIdentifier:
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _host_names(hosts: tuple[str, ...]) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts]


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CDI-DVP sandbox"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
