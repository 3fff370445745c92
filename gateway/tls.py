"""TLS: contexts, who the peer is, and which certificates are revoked.

Whether a peer may come in is decided per request (exchange/admission): a handshake is only a first filter, and
what it let in may be revoked a moment later.
"""

from __future__ import annotations

import _ssl
import asyncio
import base64
import ctypes
import functools
import hashlib
import re
import ssl
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.core.model import Certificate
from gateway.settings import ServerTlsListener, TlsListener

# RFC 7525 §4.2: forward secrecy and AEAD; these four and no others when 1.2 is allowed.
TLS12_SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
)
CERTIFICATES_REMEMBERED_MAX = 4_096

_PEM_CRL = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
# OpenSSL ssl.h: SSL_CTRL_SET_SESS_CACHE_MODE, SSL_CTRL_GET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, SSL_SESS_CACHE_SERVER.
_SET_CACHE_MODE, _GET_CACHE_MODE, _CACHE_OFF, _CACHE_SERVER = 44, 45, 0, 2


class TlsMaterialError(Exception):
    """A certificate, key, authority bundle or revocation list cannot be used; the text names the file and says why."""


def server_context(settings: ServerTlsListener, *, self_signed: Iterable[x509.Certificate] = ()) -> ssl.SSLContext:
    """A context that never resumes a session: resumption would outlive the removal of an authority, since a resumed
    session is not verified again. A `TlsListener` demands a client certificate of its authorities, or one of
    `self_signed` (RFC 8705 §2.2). Raises TlsMaterialError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # TLS 1.3 (RFC 8446 §4.6.1)
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if settings.tls_minimum == "1.2":
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(TLS12_SUITES)
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        _forget_sessions(context)
    _load_own(context, settings.certificate_file, settings.key_file)
    if isinstance(settings, TlsListener):
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authorities(context, settings.client_ca_file)
        for certificate in self_signed:
            context.load_verify_locations(cadata=certificate.public_bytes(Encoding.DER))
    return context


def self_signed_certificates(file: Path) -> list[x509.Certificate]:
    """The client certificates of a PEM file that are trusted by themselves. Raises TlsMaterialError.

    Each becomes an authority of the listener, so one that could issue others would let its holder become anybody: only
    certificates that say they are no authority are taken.
    """
    found = _authorities(file)
    for certificate in found:
        try:
            certificate.verify_directly_issued_by(certificate)
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature) as error:
            raise TlsMaterialError(f"{file}: not a self-signed certificate with basicConstraints CA:FALSE") from error
        if constraints.ca:
            raise TlsMaterialError(f"{file}: not a self-signed certificate with basicConstraints CA:FALSE")
    return found


def client_context(*, ca_file: Path, certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """A TLS 1.3 context for calls to a server of these authorities, by host name. Raises TlsMaterialError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION
    _load_own(context, certificate_file, key_file)
    _load_authorities(context, ca_file)
    return context


def outgoing_context(
    *, ca_file: Path | None, certificate_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """For calls to somebody else's server, TLS 1.2 or 1.3, by host name: of these authorities, or of the system's; with
    a client certificate where one is given. Raises TlsMaterialError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    if ca_file is None:
        context.load_default_certs()
    else:
        _load_authorities(context, ca_file)
    if certificate_file is not None and key_file is not None:
        _load_own(context, certificate_file, key_file)
    return context


def peer_certificate(peer: asyncio.BaseTransport | ssl.SSLObject | None) -> Certificate | None:
    """The certificate that the peer proved to hold, or None: no TLS, no certificate, or the connection is gone."""
    tls = peer if peer is None or isinstance(peer, ssl.SSLObject) else peer.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    return parse_certificate(der) if der else None


@functools.lru_cache(maxsize=CERTIFICATES_REMEMBERED_MAX)
def parse_certificate(der: bytes) -> Certificate:
    """What is needed of a DER certificate. Remembered: a client sends many requests with few certificates.

    Raises ValueError for what is no X.509 certificate.
    """
    parsed = x509.load_der_x509_certificate(der)
    digest = hashlib.sha256(der).digest()
    return Certificate(
        sha256=digest.hex(),
        thumbprint=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        issuer=parsed.issuer.rfc4514_string(),
        subject=parsed.subject.rfc4514_string(),
        serial=parsed.serial_number,
        not_before=int(parsed.not_valid_before_utc.timestamp()),
        not_after=int(parsed.not_valid_after_utc.timestamp()),
    )


class RevocationLists:
    """Revoked serial numbers by issuer. Immutable: a reload makes a new one and swaps it.

    The handshake does not look at revocation lists; admission does on every request, so that the refusal is an answer
    (CERT_REVOKED) and also meets connections that were opened before.
    """

    def __init__(self, files: Iterable[Path], *, ca_file: Path) -> None:
        """Read PEM or DER lists, each signed by an authority of `ca_file`. Raises TlsMaterialError."""
        authorities = _authorities(ca_file)
        self._serials: dict[str, frozenset[int]] = {}
        self._next_updates: list[tuple[Path, float]] = []
        for file in files:
            for revocations in _revocations(file):
                _verify(revocations, authorities, file)
                issuer = revocations.issuer.rfc4514_string()
                serials = frozenset(entry.serial_number for entry in revocations)
                self._serials[issuer] = self._serials.get(issuer, frozenset()) | serials
                due = revocations.next_update_utc
                if due is not None:
                    self._next_updates.append((file, due.timestamp()))

    def revoked(self, certificate: Certificate) -> bool:
        """Whether the issuer's list names this certificate's serial number."""
        return certificate.serial in self._serials.get(certificate.issuer, ())

    def stale(self, now: float) -> tuple[Path, ...]:
        """Files whose nextUpdate has passed. They stay in force; the application warns (`crl.stale`)."""
        return tuple(dict.fromkeys(file for file, due in self._next_updates if due < now))


def _load_own(context: ssl.SSLContext, certificate_file: Path, key_file: Path) -> None:
    try:
        # An empty password keeps OpenSSL from asking for one on a terminal.
        context.load_cert_chain(certificate_file, key_file, password="")
    except (OSError, ValueError) as error:
        raise TlsMaterialError(
            f"{certificate_file} and {key_file}: not a readable PEM chain with its unencrypted PEM key"
        ) from error


def _load_authorities(context: ssl.SSLContext, ca_file: Path) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise TlsMaterialError(f"{ca_file}: not a readable PEM bundle of authorities") from error


def _forget_sessions(context: ssl.SSLContext) -> None:
    """Switch the TLS 1.2 session cache off: OP_NO_TICKET leaves resumption by session id on, and `ssl` has no switch.

    The context object holds its SSL_CTX pointer behind the object header. The mode that is read back tells whether
    that still holds; where it does not, TLS 1.2 is refused rather than served with resumption.
    """
    problem = "this Python cannot switch TLS 1.2 session resumption off; set tls_minimum to 1.3"
    try:
        control = ctypes.CDLL(_ssl.__file__).SSL_CTX_ctrl
    except (AttributeError, OSError) as error:
        raise TlsMaterialError(problem) from error
    control.argtypes, control.restype = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p), ctypes.c_long
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if control(pointer, _GET_CACHE_MODE, 0, None) != _CACHE_SERVER:
        raise TlsMaterialError(problem)
    control(pointer, _SET_CACHE_MODE, _CACHE_OFF, None)
    if control(pointer, _GET_CACHE_MODE, 0, None) != _CACHE_OFF:
        raise TlsMaterialError(problem)


def _authorities(ca_file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(ca_file.read_bytes())
    except (OSError, ValueError) as error:
        raise TlsMaterialError(f"{ca_file}: not a readable PEM bundle of authorities") from error


def _revocations(file: Path) -> list[x509.CertificateRevocationList]:
    try:
        data = file.read_bytes()
        if b"-----BEGIN" not in data:
            return [x509.load_der_x509_crl(data)]
        found = [x509.load_pem_x509_crl(block) for block in _PEM_CRL.findall(data)]
    except (OSError, ValueError) as error:
        raise TlsMaterialError(f"{file}: not a readable revocation list") from error
    if not found:
        raise TlsMaterialError(f"{file}: holds no revocation list")
    return found


def _verify(revocations: x509.CertificateRevocationList, authorities: list[x509.Certificate], file: Path) -> None:
    # RFC 5280 §5.2: with a critical extension that is not understood (delta, indirect, partial) it must not be used.
    if any(extension.critical for extension in revocations.extensions):
        raise TlsMaterialError(f"{file}: partial, indirect and delta revocation lists are not supported")
    issuers = [authority for authority in authorities if authority.subject == revocations.issuer]
    if not issuers:
        raise TlsMaterialError(f"{file}: its issuer is not among the client authorities")
    if not any(_signed(revocations, issuer) for issuer in issuers):
        raise TlsMaterialError(f"{file}: is not signed by its issuer")


def _signed(revocations: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        if not usage.crl_sign:
            return False
    except x509.ExtensionNotFound:
        pass  # RFC 5280 §6.3.3 (f): only a key usage that is there can forbid it
    try:
        return revocations.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # others: TypeError below
    except (UnsupportedAlgorithm, TypeError, ValueError):
        return False
