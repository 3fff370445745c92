"""The sandbox's certificates on real handshakes, and what its revocation lists hold."""

from __future__ import annotations

import asyncio
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from adapters.sandbox.clock import WallClock
from adapters.sandbox.pki import DAY_SECONDS, Authority, Issued, read_issued, revoke, self_signed
from adapters.sandbox.serving import client_context, server_context

NOW = 1_790_000_000


def real_now() -> int:
    return int(WallClock().now())  # OpenSSL compares with the machine's time


async def handshake(tmp_path: Path, present: Callable[[Authority], Issued], *, now: int) -> str:
    """A mutual TLS connection to a server that requires certificates of an authority, with the certificate that
    `present` makes of it; the subject that the server read, or nothing when it refused."""
    servers, clients = Authority.create("servers", now=now), Authority.create("clients", now=now)
    servers.write(tmp_path / "ca.pem", tmp_path / "ca.key")
    clients.write(tmp_path / "clients.pem", tmp_path / "clients.key")
    servers.server("server", now=now).write(tmp_path / "server.pem", tmp_path / "server.key")
    present(clients).write(tmp_path / "client.pem", tmp_path / "client.key")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(x509.load_der_x509_certificate(subject).subject.rfc4514_string().encode())
        await writer.drain()
        writer.close()

    context = server_context(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "clients.pem")
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        port = server.sockets[0].getsockname()[1]
        own = client_context(tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "client.key")
        reader, writer = await asyncio.open_connection("localhost", port, ssl=own)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        try:
            return (await reader.read()).decode()
        except (ssl.SSLError, ConnectionError):
            return ""  # TLS 1.3: the server's alert comes after the client's handshake
        finally:
            writer.close()
    finally:
        server.close()


async def test_an_issued_certificate_is_accepted_by_a_real_server(tmp_path: Path) -> None:
    now = real_now()
    subject = await handshake(tmp_path, lambda clients: clients.client("BANKA01DC", now=now), now=now)
    assert subject == "CN=BANKA01DC,O=CDI-DVP sandbox"


@pytest.mark.parametrize(
    "present",
    [
        lambda clients: clients.client("BANKA01DC", now=real_now(), lifetime_seconds=-DAY_SECONDS),
        lambda _: self_signed("BANKA01DC", now=real_now()),
        lambda _: Authority.create("clients", now=real_now()).client("BANKA01DC", now=real_now()),
    ],
    ids=["expired", "self-signed", "unknown authority of the same name"],
)
async def test_a_bad_certificate_is_refused_by_a_real_server(
    tmp_path: Path, present: Callable[[Authority], Issued]
) -> None:
    assert await handshake(tmp_path, present, now=real_now()) == ""


def test_an_expired_certificate_ended_before_now() -> None:
    expired = Authority.create("clients", now=NOW).client("BANKA01DC", now=NOW, lifetime_seconds=-60)
    assert expired.certificate.not_valid_after_utc.timestamp() == NOW - 60
    assert expired.certificate.not_valid_before_utc < expired.certificate.not_valid_after_utc


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    Authority.create("clients", now=NOW).client("BANKA01DC", now=NOW).write(tmp_path / "c.pem", tmp_path / "c.key")
    assert stat.S_IMODE((tmp_path / "c.key").stat().st_mode) == 0o600


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    issued = Authority.create("clients", now=NOW).client("BANKA01DC", now=NOW)
    issued.write(tmp_path / "c.pem", tmp_path / "c.key")
    assert read_issued(tmp_path / "c.pem", tmp_path / "c.key").sha256 == issued.sha256


def test_a_revocation_list_keeps_what_was_revoked_before(tmp_path: Path) -> None:
    authority = Authority.create("clients", now=NOW)
    authority.write(tmp_path / "ca.pem", tmp_path / "ca.key")
    first, second = (authority.client(name, now=NOW).certificate for name in ("BANKA01DC", "BANKB01DC"))
    file = tmp_path / "clients.crl.pem"
    revoke(authority, (), file, now=NOW)
    revoke(authority, (first,), file, now=NOW)
    revoke(Authority.read(tmp_path / "ca.pem", tmp_path / "ca.key"), (second,), file, now=NOW)
    listed = x509.load_pem_x509_crl(file.read_bytes())
    assert {entry.serial_number for entry in listed} == {first.serial_number, second.serial_number}
    assert listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    key = issuer.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert listed.is_signature_valid(key)


def test_a_time_stamping_certificate_is_for_that_alone() -> None:
    """RFC 3161 §2.3: one purpose, critical."""
    issued = Authority.create("time-stamps", now=NOW).timestamping("signer", now=NOW)
    usage = issued.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usage.critical
    assert list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
