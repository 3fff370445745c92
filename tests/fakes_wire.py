"""A server of bytes: it reads HTTP requests and writes what the script says, whole or in pieces, right or wrong."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

Behaviour = Callable[["WireServer", asyncio.StreamWriter, bytes], Awaitable[None]]


class WireServer:
    """Each request takes the next behaviour of `script`; when it is empty, `behaviour`."""

    def __init__(self) -> None:
        self.script: list[Behaviour] = []
        self.behaviour: Behaviour = echo
        self.requests: list[tuple[bytes, bytes]] = []  # head and body
        self.connections: list[int] = []  # by request: the number of the connection that it came on, from 1
        self.opened = 0
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()
        self.left = asyncio.Event()  # a client has closed its connection
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        number = self.opened
        self._writers.add(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length))
                self.requests.append((head, body))
                self.connections.append(number)
                self.arrived.set()
                behaviour = self.script.pop(0) if self.script else self.behaviour
                await behaviour(self, writer, body)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.left.set()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def running_wire(context: ssl.SSLContext | None = None) -> AsyncIterator[WireServer]:
    wire = WireServer()
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0, ssl=context)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        wire.released.set()
        server.close()
        wire.abort()
        await server.wait_closed()


def head(status: str = "200 OK", *fields: str, media_type: str = "application/jose", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", f"Content-Type: {media_type}", *fields, "", ""]).encode()


def answer(body: bytes = b"a.b.c", *fields: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return head(status, f"Content-Length: {len(body)}", *fields, version=version) + body


def writes(*pieces: bytes, close: bool = False) -> Behaviour:
    """These bytes; then the end of the connection, if `close`."""

    async def behave(_wire: WireServer, writer: asyncio.StreamWriter, _body: bytes) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if close:
            writer.close()

    return behave


async def echo(_wire: WireServer, writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(answer(body))


def held(behaviour: Behaviour) -> Behaviour:
    """The same, but only after `released`."""

    async def behave(wire: WireServer, writer: asyncio.StreamWriter, body: bytes) -> None:
        await wire.released.wait()
        await behaviour(wire, writer, body)

    return behave
