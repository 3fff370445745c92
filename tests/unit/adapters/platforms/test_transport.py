"""One POST and its bytes, over a real mutual TLS connection, without a word about what they mean."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from adapters.platforms.transport import HttpTransport, NoAnswer, NotAMessage
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
