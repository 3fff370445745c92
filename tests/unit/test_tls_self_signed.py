"""Clients that no authority knows: exactly the listed certificates get through, and nothing that they issued."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.tls import (
    TlsMaterialError,
    client_context,
    outgoing_context,
    peer_certificate,
    self_signed_certificates,
    server_context,
)
from tests.certificates import Pair, issued_by, self_signed
from tests.fakes_edge import Pki
from tests.unit.test_tls import shake_hands, tls12


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def write(folder: Path, name: str, pair: Pair) -> tuple[Path, Path]:
    files = folder / f"{name}.pem", folder / f"{name}.key"
    for file, data in zip(files, pair, strict=True):
        file.write_bytes(data)
    return files


def client(pki: Pki, name: str, pair: Pair) -> ssl.SSLContext:
    certificate_file, key_file = write(pki.folder, name, pair)
    return client_context(ca_file=pki.ca_file, certificate_file=certificate_file, key_file=key_file)


def server(pki: Pki, *listed: Pair, tls_minimum: str = "1.3") -> ssl.SSLContext:
    files = [write(pki.folder, f"listed-{number}", pair)[0] for number, pair in enumerate(listed)]
    certificates = [one for file in files for one in self_signed_certificates(file)]
    return server_context(pki.listener(tls_minimum=tls_minimum), self_signed=certificates)


def test_a_listed_certificate_gets_through_beside_those_of_the_authorities(pki: Pki) -> None:
    listed = self_signed("client")
    context = server(pki, self_signed("another"), listed)
    _, seen = shake_hands(context, client(pki, "client", listed))
    certificate = peer_certificate(seen)
    assert certificate is not None
    assert certificate.subject == certificate.issuer == "CN=client"
    _, seen = shake_hands(context, pki.client("bank-a"))
    assert peer_certificate(seen) is not None


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("name", ["client", "mallory"])
def test_another_self_signed_certificate_does_not(pki: Pki, name: str, version: str) -> None:
    """Not even one of the listed one's name."""
    context = client(pki, "mallory", self_signed(name))
    with pytest.raises(ssl.SSLError):
        shake_hands(
            server(pki, self_signed("client"), tls_minimum=version), context if version == "1.3" else tls12(context)
        )


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_certificate_that_a_listed_one_issued_does_not(pki: Pki, version: str) -> None:
    listed = self_signed("client")
    certificate, key = issued_by(listed, "anybody")
    for presented in (certificate, certificate + listed[0]):
        context = client(pki, "anybody", (presented, key))
        with pytest.raises(ssl.SSLError):
            shake_hands(server(pki, listed, tls_minimum=version), context if version == "1.3" else tls12(context))


def test_without_a_list_none_gets_through(pki: Pki) -> None:
    with pytest.raises(ssl.SSLError):
        shake_hands(server(pki), client(pki, "client", self_signed("client")))


def test_several_certificates_of_a_file_are_all_read(tmp_path: Path) -> None:
    """During a change of certificate: the old and the new one."""
    pairs = [self_signed("old"), self_signed("new")]
    file = tmp_path / "both.pem"
    file.write_bytes(b"".join(certificate for certificate, _ in pairs))
    found = [one.public_bytes(Encoding.PEM) for one in self_signed_certificates(file)]
    assert found == [certificate for certificate, _ in pairs]


@pytest.mark.parametrize("authority", [True, None], ids=["CA:TRUE", "no basicConstraints"])
def test_a_certificate_that_could_issue_others_is_refused(tmp_path: Path, *, authority: bool | None) -> None:
    file, _ = write(tmp_path, "client", self_signed("client", ca=authority))
    with pytest.raises(TlsMaterialError, match=r"client\.pem: not a self-signed certificate"):
        self_signed_certificates(file)


def test_one_bad_certificate_refuses_its_file(tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    file.write_bytes(self_signed("good")[0] + self_signed("bad", ca=True)[0])
    with pytest.raises(TlsMaterialError):
        self_signed_certificates(file)


def test_a_certificate_of_an_authority_is_not_self_signed(pki: Pki) -> None:
    certificate_file, _ = pki.issue("bank-a")
    leaf = x509.load_pem_x509_certificates(certificate_file.read_bytes())[0]
    alone = pki.folder / "leaf.pem"
    alone.write_bytes(leaf.public_bytes(Encoding.PEM))
    with pytest.raises(TlsMaterialError, match="not a self-signed certificate"):
        self_signed_certificates(alone)


def test_a_certificate_in_its_own_name_by_another_key_is_not_self_signed(tmp_path: Path) -> None:
    file, _ = write(tmp_path, "client", issued_by(self_signed("client"), "client"))
    with pytest.raises(TlsMaterialError, match="not a self-signed certificate"):
        self_signed_certificates(file)


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_file_without_certificates_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "client.pem"
    file.write_bytes(content)
    with pytest.raises(TlsMaterialError, match=r"client\.pem"):
        self_signed_certificates(file)


class TestOutgoing:
    """Calls to somebody else's server."""

    def test_a_server_of_the_bundle_is_trusted_and_its_name_checked(self, pki: Pki) -> None:
        certificate_file, key_file = pki.issue("bank-a")
        context = outgoing_context(ca_file=pki.ca_file, certificate_file=certificate_file, key_file=key_file)
        _, seen = shake_hands(server_context(pki.listener()), context)
        assert seen.version() == "TLSv1.3"
        elsewhere, key = pki.issue("elsewhere", "elsewhere.example")
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server_context(pki.listener(certificate_file=elsewhere, key_file=key)), context)

    def test_the_systems_authorities_do_not_trust_it(self, pki: Pki) -> None:
        certificate_file, key_file = pki.issue("bank-a")
        context = outgoing_context(ca_file=None, certificate_file=certificate_file, key_file=key_file)
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server_context(pki.listener()), context)

    def test_it_speaks_nothing_older_than_tls_12(self, pki: Pki) -> None:
        assert outgoing_context(ca_file=pki.ca_file).minimum_version is ssl.TLSVersion.TLSv1_2

    def test_files_that_are_of_no_use_are_named(self, pki: Pki) -> None:
        certificate_file, _ = pki.issue("bank-a")
        _, other_key = pki.issue("other")
        broken = pki.folder / "broken.pem"
        broken.write_bytes(b"nonsense")
        with pytest.raises(TlsMaterialError, match=r"broken\.pem"):
            outgoing_context(ca_file=broken)
        with pytest.raises(TlsMaterialError, match="other-key"):
            outgoing_context(ca_file=pki.ca_file, certificate_file=certificate_file, key_file=other_key)
