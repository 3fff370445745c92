"""Tokens of a real authority, checked by OpenSSL too; and answers of ones that lie, stall or talk nonsense."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rfc3161_client import decode_timestamp_response

from adapters.sandbox.pki import Authority, Issued, read_issued
from adapters.sandbox.timestamp_authority import TimestampAuthority
from adapters.timestamps.client import (
    CLOCKS_APART_SECONDS_MAX,
    RESPONSE_BYTES_MAX,
    HttpTimestampAuthority,
    read_roots,
)
from gateway.errors import UpstreamUnavailable
from tests.fakes import FakeClock
from tests.fakes_sandbox import CLOCK
from tests.unit.adapters.timestamps.conftest import Stamping

DATA = b"gateway.example/log\n5\nAAAA\n"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Reply = Callable[[bytes], Awaitable[bytes]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/", handler)
    server = TestServer(app, host="localhost")
    await server.start_server()
    try:
        yield str(server.make_url("/"))
    finally:
        await server.close()


async def refusal(client: HttpTimestampAuthority) -> str:
    with pytest.raises(UpstreamUnavailable) as refused:
        await client.stamp(DATA)
    return refused.value.private


async def answered(stamping: Stamping, body: bytes | Reply, *, status: int = 200) -> str:
    """Why an answer is refused that is this, or is made of the query so."""

    async def answer(request: web.Request) -> web.Response:
        made = body if isinstance(body, bytes) else await body(await request.read())
        return web.Response(status=status, body=made)

    async with serving(answer) as url:
        return await refusal(stamping.client(url=url))


def authority(stamping: Stamping, folder: Path, issued: Issued) -> TimestampAuthority:
    """One that signs with this certificate."""
    folder.mkdir()
    files = folder / "cert.pem", folder / "key.pem"
    issued.write(*files)
    return TimestampAuthority(str(stamping.openssl), folder, certificate=files[0], key=files[1])


def openssl_accepts(stamping: Stamping, folder: Path, data: bytes, response: bytes) -> bool:
    (folder / "data").write_bytes(data)
    (folder / "token").write_bytes(response)
    command = [str(stamping.openssl), "ts", "-verify", "-in", str(folder / "token")]
    command += ["-CAfile", str(stamping.ca_file), "-data", str(folder / "data")]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def resigned(stamping: Stamping, folder: Path) -> bytes:
    """`folder/response` with its statement signed by `folder/cert.pem` instead."""
    signing = ["-signer", "cert.pem", "-inkey", "key.pem", "-md", "sha256", "-nodetach"]
    signing += ["-econtent_type", "1.2.840.113549.1.9.16.1.4"]  # id-smime-ct-TSTInfo
    for command in (
        ["ts", "-reply", "-in", "response", "-token_out", "-out", "token"],
        ["cms", "-verify", "-noverify", "-inform", "DER", "-in", "token", "-out", "statement"],
        ["cms", "-sign", "-binary", "-in", "statement", "-outform", "DER", "-out", "token", *signing],
    ):
        subprocess.run([str(stamping.openssl), *command], check=True, capture_output=True, cwd=folder)
    token = (folder / "token").read_bytes()
    granted = bytes.fromhex("3003020100")
    return b"\x30\x82" + (len(granted) + len(token)).to_bytes(2, "big") + granted + token


async def test_a_token_is_over_these_bytes_and_openssl_agrees(stamping: Stamping, tmp_path: Path) -> None:
    stamp = await stamping.client().stamp(DATA)
    assert abs(stamp.time - CLOCK.now()) < CLOCKS_APART_SECONDS_MAX
    assert openssl_accepts(stamping, tmp_path, DATA, stamp.response)
    assert not openssl_accepts(stamping, tmp_path, DATA + b"x", stamp.response)


async def test_certificates_in_any_order_are_taken(stamping: Stamping, tmp_path: Path) -> None:
    """OpenSSL sends the signer's first, as most authorities do; DER wants them sorted."""
    signer = stamping.site.folder / "timestamps/signer"
    folder = tmp_path / "with-chain"
    folder.mkdir()
    chained = TimestampAuthority(str(stamping.openssl), folder, certificate=signer / "cert.pem", key=signer / "key.pem")
    configuration = folder / "openssl.cnf"
    configuration.write_text(f"{configuration.read_text()}certs = {stamping.ca_file}\n")

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=await chained.reply(await request.read()))

    async with serving(answer) as url:
        for _ in range(3):
            stamp = await stamping.client(url=url).stamp(DATA)
            assert decode_timestamp_response(stamp.response).status == 0
            assert openssl_accepts(stamping, tmp_path, DATA, stamp.response)


async def test_a_token_of_another_authority_is_refused(stamping: Stamping, tmp_path: Path) -> None:
    Authority.create("somebody else", now=int(CLOCK.now())).write(tmp_path / "other.pem", tmp_path / "other.key")
    assert await refusal(stamping.client(ca_file=tmp_path / "other.pem")) == "timestamp_invalid"


async def test_a_certificate_for_another_purpose_is_refused(stamping: Stamping, tmp_path: Path) -> None:
    """Of the right authority, over the right statement, with a client's certificate: OpenSSL's `ts` would not sign so,
    its `cms` does."""
    now = int(CLOCK.now())
    signer = stamping.site.folder / "timestamps/signer"
    own = read_issued(signer / "cert.pem", signer / "key.pem")
    real = authority(stamping, tmp_path / "real", own)

    async def reply(request: web.Request) -> web.Response:
        (tmp_path / "response").write_bytes(await real.reply(await request.read()))
        return web.Response(body=resigned(stamping, tmp_path))

    async with serving(reply) as url:
        own.write(tmp_path / "cert.pem", tmp_path / "key.pem")
        assert await stamping.client(url=url).stamp(DATA)
        issued = stamping.site.credentials.authority("timestamps").client("no authority", now=now)
        issued.write(tmp_path / "cert.pem", tmp_path / "key.pem")
        assert await refusal(stamping.client(url=url)) == "timestamp_invalid"


async def test_an_expired_certificate_is_refused(stamping: Stamping, tmp_path: Path) -> None:
    now = int(CLOCK.now()) - 100 * 86_400
    issued = stamping.site.credentials.authority("timestamps").timestamping("expired", now=now)
    made = authority(stamping, tmp_path / "expired", issued)
    assert await answered(stamping, made.reply) == "timestamp_invalid"


async def test_the_answer_to_another_question_is_refused(stamping: Stamping) -> None:
    """A token that was good once, over the same bytes: another nonce."""
    stamp = await stamping.client().stamp(DATA)
    assert await answered(stamping, stamp.response) == "timestamp_invalid"


async def test_any_flipped_byte_is_found_or_harmless(stamping: Stamping, tmp_path: Path) -> None:
    signer = stamping.site.folder / "timestamps/signer"
    real = authority(stamping, tmp_path / "real", read_issued(signer / "cert.pem", signer / "key.pem"))
    places = iter(range(5, 10_000, 37))

    async def flipped(request: web.Request) -> web.Response:
        whole = await real.reply(await request.read())
        place = next(places) % len(whole)
        return web.Response(body=whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])

    reasons = []
    async with serving(flipped) as url:
        for _ in range(25):
            try:
                stamp = await stamping.client(url=url).stamp(DATA)
            except UpstreamUnavailable as refused:
                reasons.append(refused.private)
            else:
                # The name of an algorithm that the signature does not cover: the token still says the same.
                assert abs(stamp.time - CLOCK.now()) < CLOCKS_APART_SECONDS_MAX
    assert set(reasons) <= {"timestamp_invalid", "timestamp_not_granted"}
    assert len(reasons) >= 20


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 200, "timestamp_invalid"),
        (b"\x00" * 100, 200, "timestamp_invalid"),
        (b"<html>", 200, "timestamp_invalid"),
        (bytes.fromhex("30053003020102"), 200, "timestamp_not_granted"),  # PKIStatus rejection, no token
        (b"x" * (RESPONSE_BYTES_MAX + 1), 200, "timestamp_too_large"),
        (b"", 404, "timestamp_status"),
        (b"", 302, "timestamp_status"),
    ],
)
async def test_what_is_no_token_is_refused(stamping: Stamping, body: bytes, status: int, reason: str) -> None:
    assert await answered(stamping, body, status=status) == reason


async def test_clocks_that_differ_are_refused(stamping: Stamping) -> None:
    wrong = FakeClock(now=CLOCK.now() + 2 * CLOCKS_APART_SECONDS_MAX)
    assert await refusal(stamping.client(clock=wrong)) == "timestamp_clocks_apart"


async def test_silence_and_absence_are_told_apart(stamping: Stamping) -> None:
    never = asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    async with serving(silent) as url:
        hasty = HttpTimestampAuthority(
            url,
            roots=read_roots(stamping.ca_file.read_bytes()),
            ssl_context=stamping.client()._ssl_context,
            timeout_seconds=0.05,
            clock=CLOCK,
        )
        assert await refusal(hasty) == "timestamp_timeout"
        never.set()
    assert await refusal(stamping.client(url=url)) == "timestamp_unreachable"


def test_a_bundle_without_a_certificate_is_refused() -> None:
    with pytest.raises(ValueError):
        read_roots(b"canary")
