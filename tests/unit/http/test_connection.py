from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from gateway.http.connection import HEADERS_MAX, ConnectionLimits
from gateway.settings import Limits, Listener
from tests.fakes_edge import WAIT_SECONDS, Door, Pki, get, hello, post, serving, until_connections, until_counted

CANARY = "HKG12345678"
SHORT_SECONDS = 0.05


async def test_connection_is_kept_alive_between_requests() -> None:
    async with serving(web.get("/", hello)) as edge:
        client = await edge.connect(None)
        assert (await client.ask(get("/?1"))).body == b"hello 1"
        assert (await client.ask(get("/?2"))).body == b"hello 2"
        assert edge.server.connections == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(web.get("/", hello)) as edge:
        client = await edge.connect(None)
        client.send(b"".join(get(f"/?{number}") for number in range(40)))
        for number in range(40):
            assert (await client.reply()).body == b"hello %d" % number


async def test_slow_header_is_cut_off() -> None:
    async with serving(web.get("/", hello), limits=ConnectionLimits(header_timeout_seconds=SHORT_SECONDS)) as edge:
        client = await edge.connect(None)
        client.send(b"GET / HTTP/1.1\r\nHost: local")
        assert await client.closed() == b""
        await until_counted(edge, "header_timeout")


async def test_silent_connection_is_cut_off() -> None:
    async with serving(web.get("/", hello), limits=ConnectionLimits(header_timeout_seconds=SHORT_SECONDS)) as edge:
        assert await (await edge.connect(None)).closed() == b""


async def test_slow_header_of_a_later_request_is_cut_off() -> None:
    async with serving(web.get("/", hello), limits=ConnectionLimits(keepalive_timeout_seconds=SHORT_SECONDS)) as edge:
        client = await edge.connect(None)
        await client.ask(get())
        client.send(b"GET / HTTP/1.1\r\nHost: local")
        assert await client.closed() == b""


async def test_header_timeout_spares_a_long_running_request() -> None:
    door = Door()
    async with serving(
        web.get("/", door.handle), limits=ConnectionLimits(header_timeout_seconds=SHORT_SECONDS)
    ) as edge:
        client, silent = await edge.connect(None), await edge.connect(None)
        client.send(get())
        assert await silent.closed() == b""  # the time has passed
        door.leave.set()
        assert (await client.reply()).status == 200


async def test_peer_that_does_not_read_is_cut_off() -> None:
    async def flood(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 16_000_000)

    async with serving(web.get("/", flood), limits=ConnectionLimits(write_timeout_seconds=SHORT_SECONDS)) as edge:
        client = await edge.connect(None)
        client.send(get())
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        await until_counted(edge, "write_timeout")
        await until_connections(edge, 0)


async def test_peer_that_pipelines_without_reading_is_held_back() -> None:
    served = 0

    async def part(request: web.Request) -> web.Response:
        nonlocal served
        served += 1
        return web.Response(body=b"x" * 1_000_000)

    async with serving(web.get("/", part), limits=ConnectionLimits(write_timeout_seconds=SHORT_SECONDS)) as edge:
        client = await edge.connect(None)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        client.send(get() * 30)
        await until_counted(edge, "write_timeout")
        assert served < 30


async def test_client_that_leaves_does_not_cut_its_flow() -> None:
    door = Door()
    async with serving(web.get("/", door.handle)) as edge:
        client = await edge.connect(None)
        client.send(get())
        await door.entered.wait()
        client.close()
        door.leave.set()
        async with asyncio.timeout(WAIT_SECONDS):
            await door.left.wait()
        await until_connections(edge, 0)
        assert not door.cancelled


# --- malformed messages --------------------------------------------------------------------------------------

SMUGGLING = {
    "length and chunked": get("/", "Content-Length: 4", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n",
    "chunked and length": get("/", "Transfer-Encoding: chunked", "Content-Length: 4", method="POST") + b"0\r\n\r\n",
    "two lengths": get("/", "Content-Length: 4", "Content-Length: 5", method="POST") + b"12345",
    "two equal lengths": get("/", "Content-Length: 4", "Content-Length: 4", method="POST") + b"1234",
    "list of lengths": get("/", "Content-Length: 4, 4", method="POST") + b"1234",
    "signed length": get("/", "Content-Length: +4", method="POST") + b"1234",
    "chunked twice": get("/", "Transfer-Encoding: chunked, chunked", method="POST") + b"0\r\n\r\n",
    "chunked not last": get("/", "Transfer-Encoding: chunked, gzip", method="POST") + b"0\r\n\r\n",
    "hidden chunked": get("/", "Transfer-Encoding : chunked", method="POST") + b"0\r\n\r\n",
    "vertical tab": get("/", "Transfer-Encoding: \x0bchunked", method="POST") + b"0\r\n\r\n",
    "folded line": get("/", f"X: a\r\n {CANARY}"),
    "space before colon": get("/", f"X : {CANARY}"),
    "bare line feed": get("/").replace(b"\r\n", b"\n"),
    "bare carriage return": get("/", f"X: a\r{CANARY}"),
    "null in a value": get("/", f"X: a\x00{CANARY}"),
    "no host": f"GET /?{CANARY} HTTP/1.1\r\n\r\n".encode(),
    "two hosts": get("/", "Host: elsewhere"),
    "unknown method": get("/", method=f"X{CANARY}"),
    "other version": get("/").replace(b"HTTP/1.1", b"HTTP/3.7"),
    "no version": f"GET /?{CANARY}\r\n\r\n".encode(),
    "control in the target": get(f"/\x01{CANARY}"),
    "not HTTP": f"{CANARY}\r\n\r\n".encode(),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("shape", SMUGGLING)
async def test_malformed_message_is_refused_as_a_problem_and_ends_the_connection(shape: str) -> None:
    async with serving(web.route("*", "/", hello)) as edge:
        client = await edge.connect(None)
        client.send(SMUGGLING[shape] + get("/?smuggled"))
        reply = await client.reply()
        assert (reply.status, reply.json()["code"]) == (400, "SCHEMA_INVALID")
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.headers["connection"] == "close"
        assert reply.headers["server"] == "cdi-gateway"
        assert reply.json()["instance"] == reply.headers["x-fapi-interaction-id"]
        assert b"smuggled" not in await client.closed()
        for place in (reply.body, edge.stream.getvalue()):
            assert CANARY.encode() not in place
            assert b"Traceback" not in place


@pytest.mark.parametrize(
    "data",
    [
        get("/" + "a" * 3_000),
        get("/", "X: " + "a" * 3_000),
        get("/", "X" * 3_000 + ": a"),
        get("/", *(f"X-{number}: a" for number in range(HEADERS_MAX + 1))),
    ],
    ids=["line", "value", "name", "number of fields"],
)
async def test_header_above_its_limits_is_too_large(data: bytes) -> None:
    async with serving(web.get("/", hello), limits=ConnectionLimits(header_bytes_max=2_048)) as edge:
        client = await edge.connect(None)
        reply = await client.ask(data)
        assert (reply.status, reply.json()["code"]) == (413, "TOO_LARGE")
        assert reply.headers["connection"] == "close"


async def test_header_of_many_large_fields_is_cut_off() -> None:
    async with serving(web.get("/", hello), limits=ConnectionLimits(header_bytes_max=1_024)) as edge:
        client = await edge.connect(None)
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        for number in range(5):
            client.send(b"X-%d: %s\r\n" % (number, b"a" * 1_000))
        await client.closed()
        await until_counted(edge, "malformed")


async def test_garbage_after_a_request_is_refused() -> None:
    async with serving(web.post("/", hello)) as edge:
        client = await edge.connect(None)
        assert (await client.ask(post(b"1234"))).status == 200
        assert (await client.ask(CANARY.encode() + b"\r\n\r\n")).json()["code"] == "SCHEMA_INVALID"
        assert await client.closed() == b""


async def test_failure_outside_the_boundary_is_a_problem_without_trace() -> None:
    async def broken(request: web.Request) -> web.Response:
        raise ValueError(CANARY)

    application = web.Application()
    application.add_routes([web.get("/", broken)])
    async with serving(application=application) as edge:
        reply = await (await edge.connect(None)).ask(get("/", "Accept: text/html"))
        assert (reply.status, reply.json()["code"]) == (500, "INTERNAL")
        assert [event["error"] for event in edge.events()] == ["ValueError"]
        assert CANARY.encode() not in reply.body + edge.stream.getvalue()


def test_limits_come_from_settings(tmp_path: Path) -> None:
    listener = Pki(tmp_path).listener(connections_max=7, header_bytes_max=4_096)
    limits = ConnectionLimits.of(listener, Limits(body_timeout_seconds=3))
    assert (limits.connections_max, limits.header_bytes_max, limits.write_timeout_seconds) == (7, 4_096, 3)
    assert ConnectionLimits.of(Listener(port=0), Limits()).connections_max == ConnectionLimits().connections_max
