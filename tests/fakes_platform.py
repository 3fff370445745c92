"""A DVP platform on a real socket with mutual TLS: honest by default, and able to lie in every way a test names."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.platforms.breaker import Breaker
from adapters.platforms.dvp_http import DvpHttpPlatform
from gateway.core.model import Outcome, Reason
from gateway.core.verification import Answer
from gateway.profiles.dvp_v1.envelope import Envelope, seal, unseal
from gateway.profiles.dvp_v1.messages import answer_body, error_body
from tests.fakes import FakeClock
from tests.fakes_profiles import NOW, REQUEST_ID, KeySigner, validators

PLATFORM_ID = "DVP00001"
OWN_ID = "GATEWAY1"
MEDIA_TYPE = "application/jose"
ANSWER = Answer(outcome=Outcome.NOT_REGISTERED, reason=None, evidence=None, checked_at=NOW)
UNKNOWN_YET = Answer(outcome=Outcome.INDETERMINATE, reason=Reason.PENDING_ON_CHAIN, evidence=None, checked_at=NOW)

Behaviour = Callable[["StubPlatform", web.Request, Envelope], Awaitable[web.StreamResponse]]


class StubPlatform:
    """Each request takes the next behaviour of `script`; when it is empty, `behaviour`."""

    def __init__(self) -> None:
        self.own = KeySigner("dvp-1")
        self.gateway = KeySigner("gateway-1")
        self.stranger = KeySigner("dvp-1")
        self.clock = FakeClock(NOW)
        self.script: list[Behaviour] = []
        self.behaviour: Behaviour = honest
        self.received: list[Envelope] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[bytes] = []
        self.results: list[tuple[str, str]] = []
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()
        self.peers: set[object] = set()
        self.peers: set[object] = set()
        self.authority = trustme.CA()
        self.url = ""

    def reply(self, asked: Envelope, message_type: str, body: dict[str, Any], **changes: Any) -> Envelope:
        now = int(self.clock.now())
        envelope = Envelope(
            message_id=str(uuid.uuid4()),
            message_type=message_type,
            sender=PLATFORM_ID,
            receiver=asked.sender,
            issued_at=now,
            expires_at=now + 60,
            nonce="n" * 22,
            in_reply_to=asked.message_id,
            body=body,
        )
        return replace(envelope, **changes)

    def result(self, asked: Envelope, **changes: Any) -> Envelope:
        body = answer_body(ANSWER, request_id=asked.body["requestId"])
        return self.reply(asked, "VerificationResult", changes.pop("body", body), **changes)

    def sealed(self, envelope: Envelope, signer: KeySigner | None = None) -> web.Response:
        data = seal(envelope, signer or self.own).encode()
        self.answers.append(data)
        return web.Response(body=data, content_type=MEDIA_TYPE)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        if request.transport is not None:
            self.peers.add(request.transport.get_extra_info("peername"))
        asked = unseal(
            await request.read(),
            keys=self.gateway.keys(),
            sender=OWN_ID,
            receiver=PLATFORM_ID,
            now=self.clock.now(),
            validators=validators(),
        )
        self.received.append(asked)
        self.arrived.set()
        behaviour = self.script.pop(0) if self.script else self.behaviour
        return await behaviour(self, request, asked)

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.num_tickets = 0
        self.authority.issue_cert("localhost").configure_cert(context)
        self.authority.configure_trust(context)
        return context

    def client_context(self, *, certificate: bool = True, trust: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        (trust or self.authority).configure_trust(context)
        if certificate:
            self.authority.issue_cert("gateway.example").configure_cert(context)
        return context

    @contextlib.asynccontextmanager
    async def client(self, **changes: Any) -> AsyncIterator[DvpHttpPlatform]:
        """The adapter under test, connected to this stub."""
        values: dict[str, Any] = {
            "platform_id": PLATFORM_ID,
            "own_id": OWN_ID,
            "url": self.url,
            "ssl_context": self.client_context(),
            "signer": self.gateway,
            "keys": self.own.keys(),
            "validators": validators(),
            "clock": self.clock,
            "breaker": Breaker(failures_max=10, open_seconds=10),
            "deadline_seconds": 30.0,
            "attempt_seconds": 20.0,
            "attempts_max": 3,
            "concurrency_max": 8,
            "answer_bytes_max": 65_536,
            "observe": lambda message, _seconds, result: self.results.append((message, result)),
            "pause_first_seconds": 0.001,
            "pause_max_seconds": 0.001,
        }
        platform = DvpHttpPlatform(**(values | changes))
        try:
            yield platform
        finally:
            await platform.close()


@contextlib.asynccontextmanager
async def running_stub() -> AsyncIterator[StubPlatform]:
    stub = StubPlatform()
    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/dvp/v1/messages", stub.serve)
    server = TestServer(app, host="localhost", scheme="https")
    await server.start_server(ssl=stub.server_context(), shutdown_timeout=0.1)
    stub.url = f"https://localhost:{server.port}"
    try:
        yield stub
    finally:
        stub.released.set()
        await server.close()


async def honest(stub: StubPlatform, _request: web.Request, asked: Envelope) -> web.StreamResponse:
    return stub.sealed(stub.result(asked))


def lying(change: Callable[[StubPlatform, Envelope], Envelope]) -> Behaviour:
    """A correctly signed envelope that says something else than it should."""

    async def behave(stub: StubPlatform, _request: web.Request, asked: Envelope) -> web.StreamResponse:
        return stub.sealed(change(stub, asked))

    return behave


def raw(body: bytes, content_type: str = MEDIA_TYPE) -> Behaviour:
    async def behave(_stub: StubPlatform, _request: web.Request, _asked: Envelope) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type)

    return behave


def status(code: int, **headers: str) -> Behaviour:
    async def behave(_stub: StubPlatform, _request: web.Request, _asked: Envelope) -> web.StreamResponse:
        return web.Response(status=code, text="<html>", content_type="text/html", headers=headers)

    return behave


def refusing(code: str, *, retryable: bool, retry_after_seconds: int | None = None) -> Behaviour:
    """A signed ErrorResponse."""
    body = error_body(code, retryable=retryable, retry_after_seconds=retry_after_seconds)
    return lying(lambda stub, asked: stub.reply(asked, "ErrorResponse", body))


async def foreign_signature(stub: StubPlatform, _request: web.Request, asked: Envelope) -> web.StreamResponse:
    return stub.sealed(stub.result(asked), stub.stranger)


async def changed_byte(stub: StubPlatform, _request: web.Request, asked: Envelope) -> web.StreamResponse:
    data = bytearray(stub.sealed(stub.result(asked)).body or b"")
    middle = len(data) // 2
    data[middle] = ord("A") if data[middle] != ord("A") else ord("B")
    return web.Response(body=bytes(data), content_type=MEDIA_TYPE)


async def replayed(stub: StubPlatform, _request: web.Request, _asked: Envelope) -> web.StreamResponse:
    """The first answer ever given, again."""
    return web.Response(body=stub.answers[0], content_type=MEDIA_TYPE)


async def dropped(_stub: StubPlatform, request: web.Request, _asked: Envelope) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_in_the_body(stub: StubPlatform, request: web.Request, asked: Envelope) -> web.StreamResponse:
    data = seal(stub.result(asked), stub.own).encode()
    response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPE, "Content-Length": str(len(data))})
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def oversized_without_length(_stub: StubPlatform, request: web.Request, _asked: Envelope) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPE})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(64):
            await response.write(b"a" * 65_536)
    return response


async def silent(stub: StubPlatform, _request: web.Request, _asked: Envelope) -> web.StreamResponse:
    """Never answers; until the test is over."""
    await stub.released.wait()
    return web.Response()


async def trickling(stub: StubPlatform, request: web.Request, _asked: Envelope) -> web.StreamResponse:
    """The header at once, the body never."""
    response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPE, "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"a")
    await stub.released.wait()
    return response


WRONG_REQUEST = answer_body(ANSWER, request_id=REQUEST_ID.replace("2222", "9999"))
