"""The client against a witness that keeps to the specification, and against ones that lie, stall or talk nonsense."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.sandbox.serving import client_context
from adapters.sandbox.witness import Witness
from adapters.sandbox.witness_server import WitnessApi
from adapters.witness.client import ANSWER_BYTES_MAX, HttpWitness
from gateway.audit import note
from gateway.audit.note import COSIGNATURE_V1, NoteInvalid, NoteSigner
from gateway.ports import Cosigned, NotCosigned
from tests.fakes import FakeClock
from tests.fakes_attestation import GrowingLog
from tests.fakes_sandbox import Site

SIGNER = NoteSigner("witness.example/w1", Ed25519PrivateKey.generate(), type=COSIGNATURE_V1)
PLAIN = ssl.create_default_context()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def client(url: str, *, context: ssl.SSLContext = PLAIN, seconds: float = 10) -> AsyncIterator[HttpWitness]:
    asked = HttpWitness(str(SIGNER.verifier), url, ssl_context=context, timeout_seconds=seconds)
    try:
        yield asked
    finally:
        await asked.close()


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    server = TestServer(app, host="localhost")
    await server.start_server()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


@asynccontextmanager
async def honest(folder: Path, log: GrowingLog) -> AsyncIterator[str]:
    witness = Witness(SIGNER, [log.signer.verifier], state_file=folder / "state.db", clock=FakeClock())
    async with served(WitnessApi(witness).application()) as url:
        yield url
    witness.close()


@asynccontextmanager
async def lying(answer: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/add-checkpoint", answer)
    async with served(app) as url:
        yield url


async def ask(witness: HttpWitness, log: GrowingLog, size: int | None = None) -> Cosigned | NotCosigned:
    return await witness.cosign(log.note(size), log.head(size), log.node)


async def answered(status: int, body: bytes = b"", **options: float) -> tuple[Cosigned | NotCosigned, int]:
    """What the client makes of a witness that always answers this, and how often it was asked."""
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=status, body=body)

    async with lying(answer) as url, client(url, **options) as witness:
        return await ask(witness, GrowingLog(20)), asked


async def test_every_growth_is_cosigned_and_verifies(tmp_path: Path) -> None:
    log = GrowingLog(20)
    async with honest(tmp_path, log) as url, client(url + "/") as witness:
        for size in (0, 1, 7, 7, 20):
            result = await ask(witness, log, size)
            assert isinstance(result, Cosigned)
            whole = note.parse(log.note(size) + "".join(result.lines))
            assert len(note.verify(whole, [SIGNER.verifier, log.signer.verifier])) == 2
            assert witness.attested(str(whole).encode()) == result.time


async def test_a_client_that_starts_learns_where_the_witness_stands(tmp_path: Path) -> None:
    log = GrowingLog(20)
    async with honest(tmp_path, log) as url:
        async with client(url) as before:
            assert isinstance(await ask(before, log, 7), Cosigned)
        async with client(url) as after:
            assert isinstance(await ask(after, log, 20), Cosigned)


async def test_another_history_is_a_conflict(tmp_path: Path) -> None:
    log = GrowingLog(20)
    forked = GrowingLog(20, salt="another", key=log.key)
    async with honest(tmp_path, log) as url, client(url) as witness:
        assert isinstance(await ask(witness, log, 13), Cosigned)
        assert await ask(witness, forked, 20) == NotCosigned(reason="other_history", conflict=True)
        assert await ask(witness, forked, 13) == NotCosigned(reason="other_root", conflict=True)
        async with client(url) as started:
            assert await ask(started, forked, 20) == NotCosigned(reason="other_history", conflict=True)
            assert await ask(started, forked, 13) == NotCosigned(reason="other_root", conflict=True)


async def test_a_log_that_went_back_is_a_conflict_until_it_has_caught_up(tmp_path: Path) -> None:
    log = GrowingLog(20)
    async with honest(tmp_path, log) as url, client(url) as witness:
        assert isinstance(await ask(witness, log, 20), Cosigned)
        for _ in range(2):
            assert await ask(witness, log, 13) == NotCosigned(reason="ahead", conflict=True)
        assert isinstance(await ask(witness, log, 20), Cosigned)


async def test_a_log_that_the_witness_does_not_know_is_told_so(tmp_path: Path) -> None:
    async with honest(tmp_path, GrowingLog(1)) as url, client(url) as witness:
        assert await ask(witness, GrowingLog(20)) == NotCosigned(reason="log_key_refused")
    assert (await answered(404))[0] == NotCosigned(reason="log_unknown")


async def test_the_sandboxs_witness_answers_over_tls_of_its_own_authority(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.witness() as url:
        async with client(url) as distrustful:
            assert await ask(distrustful, GrowingLog(3)) == NotCosigned(reason="unreachable")
        async with client(url, context=client_context(tmp_path / "pki/ca.pem")) as trustful:
            assert await ask(trustful, GrowingLog(3)) == NotCosigned(reason="log_unknown")


async def test_conflicts_without_end_are_given_up() -> None:
    sizes = iter(range(1, 100))

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=409, body=f"{next(sizes)}\n".encode())

    async with lying(answer) as url, client(url) as witness:
        assert await ask(witness, GrowingLog(20)) == NotCosigned(reason="unsettled")
        assert next(sizes) == 3


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, b"", NotCosigned(reason="answer_invalid")),
        (200, b"\xff" * 100, NotCosigned(reason="answer_invalid")),
        (200, b"x" * (ANSWER_BYTES_MAX + 1), NotCosigned(reason="answer_invalid")),
        (409, b"x" * (ANSWER_BYTES_MAX + 1), NotCosigned(reason="answer_invalid")),
        (409, b"0\n", NotCosigned(reason="answer_invalid")),  # what we said, and yet it refuses
        (409, b"nonsense", NotCosigned(reason="answer_invalid")),
        (409, b"21\n", NotCosigned(reason="ahead", conflict=True)),
        (409, b"9223372036854775807\n", NotCosigned(reason="ahead", conflict=True)),
        (422, b"", NotCosigned(reason="other_history", conflict=True)),
        (400, b"", NotCosigned(reason="request_refused")),
        (429, b"", NotCosigned(reason="rate_limited")),
        (500, b"", NotCosigned(reason="status")),
        (204, b"", NotCosigned(reason="status")),
    ],
)
async def test_what_is_no_cosignature_is_none(status: int, body: bytes, result: NotCosigned) -> None:
    assert await answered(status, body) == (result, 1)


async def test_a_cosignature_that_does_not_hold_is_refused() -> None:
    log = GrowingLog(20)
    impostor = NoteSigner(SIGNER.verifier.name, Ed25519PrivateKey.generate(), type=COSIGNATURE_V1)
    text, other = log.head().text, log.head(19).text
    forged = SIGNER.line(text, time=1).replace("A", "B")
    for wrong in (impostor.line(text, time=1), SIGNER.line(other, time=1), forged):

        async def answer(request: web.Request, line: str = wrong) -> web.Response:
            return web.Response(text=line)

        async with lying(answer) as url, client(url) as witness:
            assert await ask(witness, log) == NotCosigned(reason="answer_invalid")


async def test_a_redirect_is_not_followed() -> None:
    followed = []

    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async def elsewhere(request: web.Request) -> web.Response:
        followed.append(1)
        return web.Response()

    app = web.Application()
    app.router.add_post("/add-checkpoint", redirect)
    app.router.add_post("/elsewhere", elsewhere)
    async with served(app) as url, client(url) as witness:
        assert await ask(witness, GrowingLog(20)) == NotCosigned(reason="status")
    assert followed == []


async def test_silence_is_a_timeout_and_absence_unreachable() -> None:
    never = asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    async with lying(silent) as url:
        async with client(url, seconds=0.05) as witness:
            assert await ask(witness, GrowingLog(20)) == NotCosigned(reason="timeout")
        never.set()
    async with client(url) as witness:
        assert await ask(witness, GrowingLog(20)) == NotCosigned(reason="unreachable")


async def test_a_kept_connection_that_was_closed_is_opened_anew(tmp_path: Path) -> None:
    log = GrowingLog(20)
    witness = Witness(SIGNER, [log.signer.verifier], state_file=tmp_path / "state.db", clock=FakeClock())
    closed = 0

    @web.middleware
    async def once(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal closed
        closed += 1
        if closed == 2 and request.transport is not None:
            request.transport.close()
        return await handler(request)

    app = WitnessApi(witness).application()
    app.middlewares.append(once)
    async with served(app) as url, client(url) as asked:
        assert isinstance(await ask(asked, log, 7), Cosigned)
        assert isinstance(await ask(asked, log, 20), Cosigned)


async def test_tiles_that_cannot_be_read_are_our_own_trouble(tmp_path: Path) -> None:
    log = GrowingLog(20)

    def unreadable(level: int, place: int) -> bytes:
        raise OSError("no such tile")

    async with honest(tmp_path, log) as url, client(url) as witness:
        assert isinstance(await ask(witness, log, 7), Cosigned)
        assert await witness.cosign(log.note(), log.head(), unreadable) == NotCosigned(reason="no_proof")


def test_a_key_of_another_kind_is_refused() -> None:
    log = NoteSigner("witness.example/w1", Ed25519PrivateKey.generate())
    with pytest.raises(NoteInvalid, match="cosignature/v1"):
        HttpWitness(str(log.verifier), "https://witness.example", ssl_context=PLAIN, timeout_seconds=1)


async def test_only_its_own_cosignatures_attest() -> None:
    log = GrowingLog(3)
    other = NoteSigner("witness.example/w2", Ed25519PrivateKey.generate(), type=COSIGNATURE_V1)
    text = log.head().text
    async with client("http://localhost") as witness:
        assert witness.attested((log.note() + SIGNER.line(text, time=5) + SIGNER.line(text, time=9)).encode()) == 9
        assert witness.attested((log.note() + other.line(text, time=5)).encode()) is None
        assert witness.attested((log.note() + SIGNER.line("x\n", time=5)).encode()) is None
        assert witness.attested(b"nonsense") is None
