"""One POST and its bytes, over a real mutual TLS connection, without a word about what they mean."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web

from adapters.platforms.transport import HttpTransport, NoAnswer, NotAMessage
from gateway.ports import TraceContext
from gateway.profiles.dvp_v1.envelope import Envelope, seal
from gateway.profiles.dvp_v1.messages import question_body
from tests.fakes_platform import (
    MEDIA_TYPE,
    OWN_ID,
    PLATFORM_ID,
    Behaviour,
    StubPlatform,
    cut_in_the_body,
    dropped,
    oversized_without_length,
    raw,
    running_stub,
    status,
)
from tests.fakes_profiles import MESSAGE_ID, NOW, QUESTION
from tests.fakes_wire import WireServer, answer, head, held, running_wire, writes

PAGE = head("503 Busy", "Retry-After: 3", "Content-Length: 5000", media_type="text/html")
CHUNKED = head("200 OK", "Transfer-Encoding: chunked") + b"3\r\na.b\r\n2\r\n.c\r\n0\r\n\r\n"


@pytest.fixture
async def stub() -> AsyncIterator[StubPlatform]:
    async with running_stub() as running:
        yield running


@contextlib.asynccontextmanager
async def transport(stub: StubPlatform, *, answer_bytes_max: int = 1_000) -> AsyncIterator[HttpTransport]:
    made = HttpTransport(
        stub.url + "/dvp/v1/messages",
        ssl_context=stub.client_context(),
        connections_max=2,
        answer_bytes_max=answer_bytes_max,
        user_agent="cdi-dvp-gateway/test",
    )
    try:
        yield made
    finally:
        await made.close()


def message(stub: StubPlatform) -> bytes:
    envelope = Envelope(
        message_id=MESSAGE_ID,
        message_type="VerificationRequest",
        sender=OWN_ID,
        receiver=PLATFORM_ID,
        issued_at=NOW,
        expires_at=NOW + 60,
        nonce="n" * 22,
        body=question_body(QUESTION),
    )
    return seal(envelope, stub.gateway).encode()


async def test_the_bytes_come_back_as_they_were_sent(stub: StubPlatform) -> None:
    stub.behaviour = raw(b"\x00\xff" * 500)
    async with transport(stub) as http:
        assert await http.post(message(stub), None) == b"\x00\xff" * 500
    assert stub.headers[0]["User-Agent"] == "cdi-dvp-gateway/test"
    assert stub.headers[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("behaviour", [raw(b"a" * 1_001), oversized_without_length])
async def test_more_bytes_than_the_limit_are_no_message(stub: StubPlatform, behaviour: Behaviour) -> None:
    stub.behaviour = behaviour
    async with transport(stub) as http:
        with pytest.raises(NotAMessage):
            await http.post(message(stub), None)


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "application/jose+json", "application/josex"])
async def test_another_media_type_is_no_message(stub: StubPlatform, media_type: str) -> None:
    stub.behaviour = raw(b"a.b.c", media_type)
    async with transport(stub) as http:
        with pytest.raises(NotAMessage):
            await http.post(message(stub), None)


@pytest.mark.parametrize("media_type", ["application/jose; charset=utf-8", "Application/JOSE"])
async def test_parameters_and_case_of_the_media_type_do_not_matter(stub: StubPlatform, media_type: str) -> None:
    async def spelt(_stub: StubPlatform, _request: web.Request, _asked: Envelope) -> web.StreamResponse:
        return web.Response(body=b"a.b.c", headers={"Content-Type": media_type})

    stub.behaviour = spelt
    async with transport(stub) as http:
        assert await http.post(message(stub), None) == b"a.b.c"


async def test_a_compressed_body_is_not_unpacked(stub: StubPlatform) -> None:
    async def packed(_stub: StubPlatform, _request: web.Request, _asked: Envelope) -> web.StreamResponse:
        headers = {"Content-Type": MEDIA_TYPE, "Content-Encoding": "gzip"}
        return web.Response(body=b"\x1f\x8b\x08\x00", headers=headers)

    stub.behaviour = packed
    async with transport(stub) as http:
        assert await http.post(message(stub), None) == b"\x1f\x8b\x08\x00"


@pytest.mark.parametrize(
    ("code", "repeatable"), [(302, False), (400, False), (429, True), (500, False), (502, True), (503, True)]
)
async def test_a_status_says_whether_to_repeat(stub: StubPlatform, code: int, repeatable: bool) -> None:
    stub.behaviour = status(code, **{"Retry-After": "7"})
    async with transport(stub) as http:
        with pytest.raises(NoAnswer) as trouble:
            await http.post(message(stub), None)
    assert (trouble.value.repeatable, trouble.value.pause_seconds) == (repeatable, 7.0)


async def test_a_signed_message_counts_whatever_its_status(stub: StubPlatform) -> None:
    async def refused(_stub: StubPlatform, _request: web.Request, _asked: Envelope) -> web.StreamResponse:
        return web.Response(status=503, body=b"a.b.c", content_type=MEDIA_TYPE)

    stub.behaviour = refused
    async with transport(stub) as http:
        assert await http.post(message(stub), None) == b"a.b.c"


async def test_an_empty_body_is_its_status_whatever_its_media_type(stub: StubPlatform) -> None:
    async def empty(_stub: StubPlatform, _request: web.Request, _asked: Envelope) -> web.StreamResponse:
        return web.Response(status=503, content_type=MEDIA_TYPE)

    stub.behaviour = empty
    async with transport(stub) as http:
        with pytest.raises(NoAnswer) as trouble:
            await http.post(message(stub), None)
    assert trouble.value.repeatable


@pytest.mark.parametrize("behaviour", [dropped, cut_in_the_body])
async def test_a_broken_connection_may_be_repeated(stub: StubPlatform, behaviour: Behaviour) -> None:
    stub.behaviour = behaviour
    async with transport(stub) as http:
        with pytest.raises(NoAnswer) as trouble:
            await http.post(message(stub), None)
    assert trouble.value.repeatable


async def test_no_cookie_is_kept(stub: StubPlatform) -> None:
    async def biscuit(_stub: StubPlatform, _request: web.Request, _asked: Envelope) -> web.StreamResponse:
        return web.Response(body=b"a.b.c", headers={"Content-Type": MEDIA_TYPE, "Set-Cookie": "a=b; Path=/"})

    stub.behaviour = biscuit
    async with transport(stub) as http:
        for _ in range(2):
            await http.post(message(stub), None)
    assert all("Cookie" not in headers for headers in stub.headers)


async def test_an_unused_transport_closes() -> None:
    async with running_stub() as stub, transport(stub) as http:
        await http.close()
    assert stub.received == []


# --- on the wire ---


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def wire(authority: trustme.CA) -> AsyncIterator[WireServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    async with running_wire(context) as running:
        yield running


@contextlib.asynccontextmanager
async def client(
    wire: WireServer,
    authority: trustme.CA,
    *,
    host: str = "127.0.0.1",
    connections_max: int = 2,
    kept_seconds: float = 3_600,
) -> AsyncIterator[HttpTransport]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    authority.issue_cert("gateway.example").configure_cert(context)
    made = HttpTransport(
        f"https://{host}:{wire.port}/dvp/v1/messages",
        ssl_context=context,
        connections_max=connections_max,
        answer_bytes_max=1_000,
        user_agent="cdi-dvp-gateway/test",
        kept_seconds=kept_seconds,
    )
    try:
        yield made
    finally:
        await made.close()


async def test_the_request_is_these_bytes(wire: WireServer, authority: trustme.CA) -> None:
    async with client(wire, authority) as http:
        await http.post(b"a.b.c", TraceContext(traceparent="00-trace-span-01"))
    assert wire.requests == [
        (
            b"POST /dvp/v1/messages HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"User-Agent: cdi-dvp-gateway/test\r\n"
            b"Content-Type: application/jose\r\n"
            b"Accept: application/jose\r\n"
            b"Accept-Encoding: identity\r\n"
            b"traceparent: 00-trace-span-01\r\n"
            b"Content-Length: 5\r\n"
            b"\r\n" % wire.port,
            b"a.b.c",
        )
    ]


@pytest.mark.parametrize(
    "pieces",
    [[CHUNKED], [CHUNKED[:90], CHUNKED[90:]], [b"HTTP/1.1 100 Continue\r\n\r\n", answer()]],
    ids=["chunked", "in pieces", "interim"],
)
async def test_an_answer_may_come_in_any_form_and_keeps_its_connection(
    wire: WireServer, authority: trustme.CA, pieces: list[bytes]
) -> None:
    wire.behaviour = writes(*pieces)
    async with client(wire, authority) as http:
        for _ in range(2):
            assert await http.post(b"?", None) == b"a.b.c"
    assert wire.connections == [1, 1]


@pytest.mark.parametrize(
    "data",
    [answer(b"a.b.c", "Connection: close"), answer(version="1.0"), answer() + b"garbage", answer() + answer(b"more")],
    ids=["close", "HTTP/1.0", "garbage behind", "a second answer"],
)
async def test_a_connection_that_cannot_be_kept_is_not(wire: WireServer, authority: trustme.CA, data: bytes) -> None:
    wire.script = [writes(data)]
    async with client(wire, authority) as http:
        assert await http.post(b"first", None) == b"a.b.c"
        assert await http.post(b"second", None) == b"second"
    assert wire.connections == [1, 2]


async def test_a_body_without_length_ends_with_its_connection(wire: WireServer, authority: trustme.CA) -> None:
    wire.script = [writes(head() + b"a.b.c", close=True)]
    async with client(wire, authority) as http:
        assert await http.post(b"?", None) == b"a.b.c"


@pytest.mark.parametrize(
    "data",
    [b"hello", answer(b"a", "X: " + "a" * 40_000), answer(b"a", *(f"X-{number}: 1" for number in range(100)))],
    ids=["no HTTP", "oversized header", "too many fields"],
)
async def test_what_is_no_response_may_be_repeated(wire: WireServer, authority: trustme.CA, data: bytes) -> None:
    wire.script = [writes(data)]
    async with client(wire, authority) as http:
        with pytest.raises(NoAnswer) as trouble:
            await http.post(b"first", None)
        assert trouble.value.repeatable
        assert await http.post(b"second", None) == b"second"
    assert wire.connections == [1, 2]


async def test_an_announced_size_beyond_the_limit_is_not_waited_for(wire: WireServer, authority: trustme.CA) -> None:
    wire.behaviour = writes(head("200 OK", "Content-Length: 1001"))
    async with client(wire, authority) as http:
        with pytest.raises(NotAMessage):
            await http.post(b"?", None)
    await wire.left.wait()


async def test_the_text_of_a_page_is_not_waited_for(wire: WireServer, authority: trustme.CA) -> None:
    wire.behaviour = writes(PAGE)
    async with client(wire, authority) as http:
        with pytest.raises(NoAnswer) as trouble:
            await http.post(b"?", None)
    assert (trouble.value.repeatable, trouble.value.pause_seconds) == (True, 3.0)
    await wire.left.wait()


async def test_a_server_that_closes_an_idle_connection_is_not_missed(wire: WireServer, authority: trustme.CA) -> None:
    closed = asyncio.Event()

    async def farewell(_wire: WireServer, writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(answer(body))
        writer.close()
        await writer.wait_closed()  # the client has closed its side too
        closed.set()

    wire.script = [farewell]
    async with client(wire, authority) as http:
        assert await http.post(b"first", None) == b"first"
        await closed.wait()
        assert await http.post(b"second", None) == b"second"
    assert wire.connections == [1, 2]


async def test_a_kept_connection_that_dies_when_it_is_used_may_be_repeated(
    wire: WireServer, authority: trustme.CA
) -> None:
    wire.script = [writes(answer()), writes(close=True)]
    async with client(wire, authority) as http:
        await http.post(b"first", None)
        with pytest.raises(NoAnswer) as trouble:
            await http.post(b"second", None)
        assert trouble.value.repeatable
        assert await http.post(b"third", None) == b"third"
    assert wire.connections == [1, 1, 2]


async def test_a_connection_that_was_idle_too_long_is_closed(wire: WireServer, authority: trustme.CA) -> None:
    async with client(wire, authority, kept_seconds=0) as http:
        await http.post(b"first", None)
        await http.post(b"second", None)
        await wire.left.wait()
    assert wire.connections == [1, 2]


async def test_each_of_many_callers_gets_its_own_answer(wire: WireServer, authority: trustme.CA) -> None:
    async def caller(http: HttpTransport, name: int) -> None:
        for turn in range(5):
            message = b"%d.%d" % (name, turn)
            assert await http.post(message, None) == message

    async with client(wire, authority, connections_max=20) as http:
        await asyncio.gather(*(caller(http, name) for name in range(20)))
    assert len(wire.requests) == 100
    assert wire.opened == 20


async def test_no_more_idle_connections_than_the_limit_are_kept(wire: WireServer, authority: trustme.CA) -> None:
    async with client(wire, authority, connections_max=1) as http:
        await asyncio.gather(*(http.post(b"first", None) for _ in range(3)))
        await asyncio.gather(*(http.post(b"second", None) for _ in range(3)))
    assert wire.opened == 5  # of the first three one was kept


async def test_a_cancelled_call_takes_its_connection_along(wire: WireServer, authority: trustme.CA) -> None:
    wire.script = [held(writes(answer(b"late")))]
    async with client(wire, authority) as http:
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(http.post(b"first", None))
            await wire.arrived.wait()
            call.cancel()
        wire.released.set()
        assert await http.post(b"second", None) == b"second"
    assert wire.connections == [1, 2]


async def test_closing_closes_what_is_idle_and_then_what_was_in_use(wire: WireServer, authority: trustme.CA) -> None:
    wire.script = [writes(answer()), writes(answer()), held(writes(answer()))]
    async with client(wire, authority) as http, asyncio.TaskGroup() as tasks:
        await asyncio.gather(http.post(b"?", None), http.post(b"?", None))
        wire.arrived.clear()
        call = tasks.create_task(http.post(b"?", None))
        await wire.arrived.wait()
        await http.close()
        await wire.left.wait()
        wire.left.clear()
        wire.released.set()
        assert await call == b"a.b.c"
        await wire.left.wait()
    assert wire.opened == 2


async def test_a_server_of_another_authority_is_not_asked_again(wire: WireServer) -> None:
    async with client(wire, trustme.CA()) as http:
        with pytest.raises(NoAnswer) as trouble:
            await http.post(b"?", None)
    assert not trouble.value.repeatable
    assert wire.requests == []


async def test_a_server_of_another_name_is_not_asked_again(wire: WireServer, authority: trustme.CA) -> None:
    async with client(wire, authority, host="localhost") as http:
        with pytest.raises(NoAnswer) as trouble:
            await http.post(b"?", None)
    assert not trouble.value.repeatable
    assert wire.requests == []


async def test_nobody_listening_may_be_repeated(wire: WireServer, authority: trustme.CA) -> None:
    wire.port = 1
    async with client(wire, authority) as http:
        with pytest.raises(NoAnswer) as trouble:
            await http.post(b"?", None)
    assert trouble.value.repeatable


@pytest.mark.parametrize(
    "url", ["http://localhost/", "https://", "https:///path", "https://localhost:99999", "https://" + "a" * 64]
)
def test_a_url_without_tls_host_or_port_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        HttpTransport(
            url,
            ssl_context=ssl.create_default_context(),
            connections_max=1,
            answer_bytes_max=1_000,
            user_agent="cdi-dvp-gateway/test",
        )
