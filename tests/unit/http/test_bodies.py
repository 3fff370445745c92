from __future__ import annotations

import hashlib

import pytest
from aiohttp import web

from gateway.http.bodies import CHUNK_BYTES, chunks, read_body, require_media_type
from tests.fakes_edge import Edge, get, post, serving

LIMIT = 1_000
TIMEOUT_SECONDS = 0.05


async def echo_size(request: web.Request) -> web.Response:
    require_media_type(request, "application/json")
    body = await read_body(request, bytes_max=LIMIT, timeout_seconds=TIMEOUT_SECONDS)
    return web.Response(text=str(len(body)))


async def digest(request: web.Request) -> web.Response:
    hasher, pieces = hashlib.sha256(), 0
    async for chunk in chunks(request, bytes_max=4 * CHUNK_BYTES, timeout_seconds=TIMEOUT_SECONDS):
        hasher.update(chunk)
        pieces += 1
    return web.Response(text=hasher.hexdigest(), headers={"Pieces": str(pieces)})


ROUTES = (web.post("/", echo_size), web.post("/digests", digest))
JSON = "Content-Type: application/json"


async def code(edge: Edge, data: bytes) -> tuple[int, str]:
    client = await edge.connect(None)
    reply = await client.ask(data)
    return reply.status, reply.json()["code"] if reply.status >= 400 else reply.body.decode()


async def test_body_up_to_the_limit_is_read() -> None:
    async with serving(*ROUTES) as edge:
        assert await code(edge, post(b"x" * LIMIT, JSON)) == (200, "1000")


async def test_no_body_is_an_empty_one() -> None:
    async with serving(*ROUTES) as edge:
        assert await code(edge, post(b"", JSON)) == (200, "0")


async def test_body_in_parts_is_read_whole() -> None:
    async with serving(*ROUTES) as edge:
        client = await edge.connect(None)
        client.send(get("/", JSON, "Transfer-Encoding: chunked", "Expect: 100-continue", method="POST"))
        assert (await client.reply()).status == 100  # the handler reads now, and the body is not there yet
        client.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert (await client.reply()).body == b"5"


async def test_announced_size_above_the_limit_is_refused_before_it_arrives() -> None:
    async with serving(*ROUTES) as edge:
        client = await edge.connect(None)
        reply = await client.ask(get("/", JSON, f"Content-Length: {LIMIT + 1}", method="POST"))
        assert (reply.status, reply.json()["code"]) == (413, "TOO_LARGE")


async def test_unannounced_size_above_the_limit_is_refused() -> None:
    async with serving(*ROUTES) as edge:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (LIMIT + 1, b"x" * (LIMIT + 1))
        data = get("/", JSON, "Transfer-Encoding: chunked", method="POST") + body
        assert await code(edge, data) == (413, "TOO_LARGE")


async def test_body_that_never_ends_is_refused_while_it_arrives() -> None:
    async with serving(*ROUTES) as edge:
        client = await edge.connect(None)
        client.send(get("/", JSON, "Transfer-Encoding: chunked", method="POST"))
        client.send(b"%x\r\n%s\r\n" % (LIMIT * 2, b"x" * LIMIT * 2))
        assert (await client.reply()).status == 413


async def test_slow_body_times_out() -> None:
    async with serving(*ROUTES) as edge:
        data = get("/", JSON, "Content-Length: 10", method="POST") + b"12345"
        assert await code(edge, data) == (408, "REQUEST_TIMEOUT")


async def test_broken_chunk_framing_is_refused() -> None:
    async with serving(*ROUTES) as edge:
        data = get("/", JSON, "Transfer-Encoding: chunked", method="POST") + b"zz\r\nabc\r\n"
        assert await code(edge, data) == (400, "SCHEMA_INVALID")


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "x-unknown", "gzip, identity"])
async def test_content_coding_is_refused(coding: str) -> None:
    async with serving(*ROUTES) as edge:
        assert await code(edge, post(b"{}", JSON, f"Content-Encoding: {coding}")) == (415, "MEDIA_TYPE_UNSUPPORTED")


async def test_identity_coding_is_none() -> None:
    async with serving(*ROUTES) as edge:
        assert await code(edge, post(b"{}", JSON, "Content-Encoding: identity")) == (200, "2")


@pytest.mark.parametrize(
    "field",
    ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/json;x=y"],
)
async def test_json_media_types_are_taken(field: str) -> None:
    async with serving(*ROUTES) as edge:
        assert await code(edge, post(b"{}", f"Content-Type: {field}")) == (200, "2")


@pytest.mark.parametrize(
    "field", ["text/plain", "application/json; charset=utf-16", "application/jsonx", "", "application/json, text/plain"]
)
async def test_other_media_types_are_refused(field: str) -> None:
    async with serving(*ROUTES) as edge:
        assert await code(edge, post(b"{}", f"Content-Type: {field}")) == (415, "MEDIA_TYPE_UNSUPPORTED")


async def test_missing_media_type_is_refused() -> None:
    async with serving(*ROUTES) as edge:
        assert (await code(edge, post(b"{}")))[0] == 415


async def test_stream_is_read_in_pieces() -> None:
    body = bytes(range(256)) * 1_024  # 4 pieces
    async with serving(*ROUTES) as edge:
        client = await edge.connect(None)
        reply = await client.ask(post(body, path="/digests"))
        assert reply.body.decode() == hashlib.sha256(body).hexdigest()
        assert int(reply.headers["pieces"]) <= 4


async def test_stream_above_its_limit_is_refused() -> None:
    async with serving(*ROUTES) as edge:
        data = get("/digests", "Transfer-Encoding: chunked", method="POST")
        size = 4 * CHUNK_BYTES + 1
        assert (await code(edge, data + b"%x\r\n" % size + b"x" * size))[1] == "TOO_LARGE"


async def test_dripping_stream_times_out() -> None:
    async with serving(*ROUTES) as edge:
        client = await edge.connect(None)
        client.send(get("/digests", f"Content-Length: {2 * CHUNK_BYTES}", method="POST"))
        client.send(b"x" * (CHUNK_BYTES + 10))  # a whole piece, and then a drip that ends
        assert (await client.reply()).json()["code"] == "REQUEST_TIMEOUT"
