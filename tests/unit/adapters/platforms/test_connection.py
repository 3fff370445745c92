"""One connection over a real socket: an answer for each request, and nothing that was not asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from adapters.platforms.connection import Connection
from adapters.platforms.response import Response, ResponseError, ResponseTooLarge
from tests.fakes_wire import Behaviour, WireServer, answer, head, held, running_wire, writes

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na.b.c"
ANSWER = Response(status=200, body=b"a.b.c", pause_seconds=0.0)


@pytest.fixture
async def wire() -> AsyncIterator[WireServer]:
    async with running_wire() as running:
        yield running


@contextlib.asynccontextmanager
async def connected(wire: WireServer) -> AsyncIterator[Connection]:
    def made() -> Connection:
        return Connection(media_type=b"application/jose", answer_bytes_max=1_000)

    _, connection = await asyncio.get_running_loop().create_connection(made, "127.0.0.1", wire.port)
    try:
        yield connection
    finally:
        connection.abort()


async def test_requests_follow_each_other(wire: WireServer) -> None:
    async with connected(wire) as connection:
        for _ in range(3):
            assert await connection.exchange(REQUEST) == ANSWER
            assert connection.reusable
    assert wire.connections == [1, 1, 1]


async def test_a_connection_is_not_reusable_while_it_is_used(wire: WireServer) -> None:
    wire.behaviour = held(writes(answer()))
    async with connected(wire) as connection, asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(connection.exchange(REQUEST))
        await wire.arrived.wait()
        assert not connection.reusable
        wire.released.set()
    assert asked.result() == ANSWER


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (writes(close=True), ConnectionError),
        (writes(answer()[:-1], close=True), ConnectionError),
        (writes(b"hello"), ResponseError),
        (writes(head("200 OK", "Content-Length: 1001")), ResponseTooLarge),
    ],
)
async def test_a_failed_exchange_ends_the_connection(
    wire: WireServer, behaviour: Behaviour, error: type[Exception]
) -> None:
    wire.behaviour = behaviour
    async with connected(wire) as connection:
        with pytest.raises(error):
            await connection.exchange(REQUEST)
        assert not connection.reusable
        with pytest.raises(ConnectionError):
            await connection.exchange(REQUEST)
    assert len(wire.requests) == 1


async def test_the_end_of_the_connection_ends_a_body_without_length(wire: WireServer) -> None:
    wire.behaviour = writes(head() + b"a.b", b".c", close=True)
    async with connected(wire) as connection:
        assert await connection.exchange(REQUEST) == ANSWER
        assert not connection.reusable


async def test_what_comes_unasked_ends_the_connection(wire: WireServer) -> None:
    async def chatty(wire: WireServer, writer: asyncio.StreamWriter, _body: bytes) -> None:
        writer.write(answer())
        await wire.released.wait()
        writer.write(answer(b"an answer to the next question"))

    wire.behaviour = chatty
    async with connected(wire) as connection:
        assert await connection.exchange(REQUEST) == ANSWER
        assert connection.reusable
        wire.released.set()
        await wire.left.wait()
        assert not connection.reusable


async def test_what_comes_before_the_first_request_ends_the_connection() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())
        assert await reader.read() == b""
        writer.close()
        left.set()

    left = asyncio.Event()
    wire = WireServer()
    server = await asyncio.start_server(hasty, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    async with server, connected(wire) as connection:
        await left.wait()
        with pytest.raises(ConnectionError):
            await connection.exchange(REQUEST)


async def test_a_cancelled_exchange_is_over(wire: WireServer) -> None:
    wire.behaviour = held(writes(answer()))
    async with connected(wire) as connection:
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(connection.exchange(REQUEST))
            await wire.arrived.wait()
            asked.cancel()
        assert not connection.reusable
        wire.released.set()  # the answer comes, and nobody takes it
        await wire.left.wait()
        assert not connection.reusable


async def test_aborting_twice_is_aborting_once(wire: WireServer) -> None:
    async with connected(wire) as connection:
        await connection.exchange(REQUEST)
        connection.abort()
        connection.abort()
        await wire.left.wait()
        assert not connection.reusable
