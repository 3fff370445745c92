from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from gateway.tls import (
    RevocationLists,
    TlsMaterialError,
    client_context,
    parse_certificate,
    peer_certificate,
    server_context,
)
from tests.fakes_edge import Pki


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A whole handshake in memory, and one byte each way so that late tickets and alerts arrive."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    a = client.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
    b = server.wrap_bio(to_server, to_client, server_side=True)
    waiting: list[ssl.SSLObject] = [a, b]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    b.write(b"x")
    assert a.read(1) == b"x"
    return a, b


def tls12(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_mutual_tls_13_by_default(pki: Pki) -> None:
    client, server = shake_hands(server_context(pki.listener()), pki.client())
    assert client.version() == server.version() == "TLSv1.3"


def test_tls_12_is_refused_by_default(pki: Pki) -> None:
    with pytest.raises(ssl.SSLError):
        shake_hands(server_context(pki.listener()), tls12(pki.client()))


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"])
def test_tls_12_by_configuration_with_the_listed_suites(pki: Pki, suite: str) -> None:
    context = tls12(pki.client())
    context.set_ciphers(suite)
    _, server = shake_hands(server_context(pki.listener(tls_minimum="1.2")), context)
    cipher = server.cipher()
    assert server.version() == "TLSv1.2"
    assert cipher is not None
    assert cipher[0] == suite


@pytest.mark.parametrize(
    "suite", ["ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA"]
)
def test_tls_12_with_another_suite_is_refused(pki: Pki, suite: str) -> None:
    context = tls12(pki.client())
    context.set_ciphers(suite)
    with pytest.raises(ssl.SSLError):
        shake_hands(server_context(pki.listener(tls_minimum="1.2")), context)


def test_client_without_certificate_is_refused(pki: Pki) -> None:
    with pytest.raises(ssl.SSLError):
        shake_hands(server_context(pki.listener()), ssl.create_default_context(cafile=pki.ca_file))


def test_client_of_a_foreign_authority_is_refused(pki: Pki, tmp_path: Path) -> None:
    stranger = Pki(tmp_path, "stranger").client("mallory", ca_file=pki.ca_file)
    with pytest.raises(ssl.SSLError):
        shake_hands(server_context(pki.listener()), stranger)


def test_server_of_a_foreign_authority_is_refused(pki: Pki, tmp_path: Path) -> None:
    other = Pki(tmp_path, "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server_context(pki.listener()), pki.client(ca_file=other.ca_file))


def test_server_of_another_name_is_refused(pki: Pki) -> None:
    certificate_file, key_file = pki.issue("elsewhere", "elsewhere.example")
    listener = pki.listener(certificate_file=certificate_file, key_file=key_file)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server_context(listener), pki.client())


def test_tls_13_session_is_not_resumed(pki: Pki) -> None:
    server, client = server_context(pki.listener()), pki.client()
    first, _ = shake_hands(server, client)
    assert first.session is None or not first.session.has_ticket
    second, seen = shake_hands(server, client, first.session)
    assert (second.session_reused, seen.session_reused) == (False, False)


def test_tls_12_session_is_not_resumed_by_ticket_or_id(pki: Pki) -> None:
    server, client = server_context(pki.listener(tls_minimum="1.2")), tls12(pki.client())
    first, kept_open = shake_hands(server, client)
    assert first.session is None or not first.session.has_ticket
    second, seen = shake_hands(server, client, first.session)
    assert (second.session_reused, seen.session_reused) == (False, False)
    assert kept_open.version() == "TLSv1.2"


def test_peer_certificate_has_the_fields_of_the_presented_one(pki: Pki) -> None:
    _, server = shake_hands(server_context(pki.listener()), pki.client("bank-a"))
    certificate = peer_certificate(server)
    parsed = x509.load_pem_x509_certificate((pki.folder / "bank-a-cert.pem").read_bytes())
    assert certificate is not None
    assert certificate.sha256 == parsed.fingerprint(hashes.SHA256()).hex()
    assert len(certificate.thumbprint) == 43
    assert certificate.subject == parsed.subject.rfc4514_string()
    assert certificate.serial == parsed.serial_number
    assert certificate.not_before < certificate.not_after == int(parsed.not_valid_after_utc.timestamp())


def test_certificate_is_parsed_once(pki: Pki) -> None:
    certificate_file, _ = pki.issue("bank-a")
    der = x509.load_pem_x509_certificate(certificate_file.read_bytes()).public_bytes(serialization.Encoding.DER)
    assert parse_certificate(der) is parse_certificate(bytes(bytearray(der)))
    assert parse_certificate(der).sha256 == hashlib.sha256(der).hexdigest()


def test_no_connection_has_no_certificate() -> None:
    assert peer_certificate(None) is None


def test_key_of_another_certificate_is_named_in_the_error(pki: Pki) -> None:
    _, other_key = pki.issue("other")
    with pytest.raises(TlsMaterialError, match="other-key"):
        server_context(pki.listener(key_file=other_key))


def test_encrypted_key_is_refused_without_asking(pki: Pki) -> None:
    certificate_file, key_file = pki.issue("bank-a")
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsMaterialError, match="unencrypted"):
        client_context(ca_file=pki.ca_file, certificate_file=certificate_file, key_file=key_file)


def test_bundle_without_authorities_is_refused(pki: Pki, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    with pytest.raises(TlsMaterialError, match=r"empty\.pem"):
        server_context(pki.listener(client_ca_file=empty))


# --- revocation lists ------------------------------------------------------------------------------------------

NOW = datetime.now(UTC).replace(microsecond=0)


def write_crl(
    pki: Pki,
    file: Path,
    serials: Sequence[int],
    *,
    signer: Pki | None = None,
    encoding: serialization.Encoding = serialization.Encoding.PEM,
    next_update: datetime = NOW + timedelta(days=1),
    delta: bool = False,
) -> Path:
    """A list in the name of `pki`'s authority, signed by `signer` (itself)."""
    name = x509.load_pem_x509_certificate(pki.ca_file.read_bytes()).subject
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name)
        .last_update(NOW - timedelta(days=2))
        .next_update(next_update)
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - timedelta(days=2))
        builder = builder.add_revoked_certificate(entry.build())
    if delta:
        builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
    key = serialization.load_pem_private_key((signer or pki).authority.private_key_pem.bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(encoding))
    return file


def der_of(file: Path) -> bytes:
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
def test_listed_certificate_is_revoked(pki: Pki, tmp_path: Path, encoding: serialization.Encoding) -> None:
    bad, good = parse_certificate(der_of(pki.issue("bad")[0])), parse_certificate(der_of(pki.issue("good")[0]))
    lists = RevocationLists([write_crl(pki, tmp_path / "crl", [bad.serial], encoding=encoding)], ca_file=pki.ca_file)
    assert lists.revoked(bad)
    assert not lists.revoked(good)


def test_several_lists_in_one_file_are_all_read(pki: Pki, tmp_path: Path) -> None:
    one, two = parse_certificate(der_of(pki.issue("one")[0])), parse_certificate(der_of(pki.issue("two")[0]))
    file = tmp_path / "both.crl"
    first = write_crl(pki, tmp_path / "1.crl", [one.serial]).read_bytes()
    file.write_bytes(first + write_crl(pki, tmp_path / "2.crl", [two.serial]).read_bytes())
    lists = RevocationLists([file], ca_file=pki.ca_file)
    assert lists.revoked(one)
    assert lists.revoked(two)


def test_same_serial_of_another_issuer_is_not_revoked(pki: Pki, tmp_path: Path) -> None:
    other = Pki(tmp_path, "other")
    foreign = parse_certificate(der_of(other.issue("foreign")[0]))
    lists = RevocationLists([write_crl(pki, tmp_path / "crl", [foreign.serial])], ca_file=pki.ca_file)
    assert not lists.revoked(foreign)


def test_list_signed_by_someone_else_is_refused(pki: Pki, tmp_path: Path) -> None:
    forged = write_crl(pki, tmp_path / "forged.crl", [1], signer=Pki(tmp_path, "other"))
    with pytest.raises(TlsMaterialError, match=r"forged\.crl: is not signed"):
        RevocationLists([forged], ca_file=pki.ca_file)


def test_list_of_an_unknown_issuer_is_refused(pki: Pki, tmp_path: Path) -> None:
    other = Pki(tmp_path, "other")
    with pytest.raises(TlsMaterialError, match="not among the client authorities"):
        RevocationLists([write_crl(other, tmp_path / "crl", [1])], ca_file=pki.ca_file)


def test_delta_list_is_refused(pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(TlsMaterialError, match="delta"):
        RevocationLists([write_crl(pki, tmp_path / "crl", [1], delta=True)], ca_file=pki.ca_file)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"])
def test_unreadable_list_is_refused(pki: Pki, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.crl"
    file.write_bytes(content)
    with pytest.raises(TlsMaterialError, match=r"broken\.crl"):
        RevocationLists([file], ca_file=pki.ca_file)


def test_pem_file_without_a_list_is_refused(pki: Pki) -> None:
    with pytest.raises(TlsMaterialError, match="holds no revocation list"):
        RevocationLists([pki.ca_file], ca_file=pki.ca_file)


def test_missing_list_is_refused(pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(TlsMaterialError, match=r"absent\.crl"):
        RevocationLists([tmp_path / "absent.crl"], ca_file=pki.ca_file)


def test_outdated_list_stays_in_force_and_is_reported(pki: Pki, tmp_path: Path) -> None:
    bad = parse_certificate(der_of(pki.issue("bad")[0]))
    file = write_crl(pki, tmp_path / "old.crl", [bad.serial], next_update=NOW - timedelta(days=1))
    lists = RevocationLists([file], ca_file=pki.ca_file)
    assert lists.revoked(bad)
    assert lists.stale(NOW.timestamp()) == (file,)
    assert lists.stale((NOW - timedelta(days=2)).timestamp()) == ()
