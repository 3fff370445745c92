"""Receivers of events in tests: a syslog server on TLS and an HTTPS server that do as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer


class Authority:
    """One CA for both sides."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def server(self, *, mutual: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("localhost").configure_cert(context)
        if mutual:
            self._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def files(self, folder: Path) -> dict[str, str]:
        """What a gateway's configuration names of a target: its authority, and a client's certificate and key."""
        names = {name: str(folder / f"siem-{name}.pem") for name in ("ca_file", "certificate_file", "key_file")}
        issued = self._ca.issue_cert("gateway.example")
        self._ca.cert_pem.write_to_path(names["ca_file"])
        issued.cert_chain_pems[0].write_to_path(names["certificate_file"])
        issued.private_key_pem.write_to_path(names["key_file"])
        return names

    def client(self, *, certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        if certificate:
            self._ca.issue_cert("gateway.example").configure_cert(context)
        return context


class SyslogServer:
    """Reads frames (RFC 5425) into `messages`. `cut_after`: bytes after which it drops a connection, the first so many
    times as there are numbers. `reading` cleared: it accepts and does not read."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.connections = 0
        self.cut_after: list[int] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.url = ""
        self._came = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    async def received(self, count: int) -> Sequence[bytes]:
        return await self.until(lambda: len(self.messages) >= count)

    async def until(self, holds: Callable[[], bool]) -> Sequence[bytes]:
        async with asyncio.timeout(30):
            while not holds():
                self._came.clear()
                await self._came.wait()
        return self.messages

    def drop_connections(self) -> None:
        """As a restart does: each connection is closed from this side."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            if self.cut_after:
                await reader.readexactly(self.cut_after.pop(0))
                return
            await self._frames(reader)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return  # the other side's end
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _frames(self, reader: asyncio.StreamReader) -> None:
        while True:
            await self.reading.wait()
            length = int((await reader.readuntil(b" "))[:-1])
            self.messages.append(await reader.readexactly(length))
            self._came.set()


@contextlib.asynccontextmanager
async def running_syslog(context: ssl.SSLContext, *, port: int = 0) -> AsyncIterator[SyslogServer]:
    receiver = SyslogServer()
    server = await asyncio.start_server(receiver.serve, "localhost", port, ssl=context, limit=2**16)
    receiver.url = f"syslog+tls://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()
        receiver.reading.set()
        receiver.drop_connections()


class HttpsServer:
    """Keeps what is posted; answers with `statuses` in order, then 200."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.accepted: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.released = asyncio.Event()
        self.released.set()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        await self.released.wait()
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.accepted.append(self.bodies[-1])
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status in {302, 307} else None)


@contextlib.asynccontextmanager
async def running_https(context: ssl.SSLContext) -> AsyncIterator[HttpsServer]:
    receiver = HttpsServer()
    application = web.Application()
    application.router.add_post("/{path:.*}", receiver.take)
    server = TestServer(application, scheme="https", host="localhost")
    await server.start_server(ssl=context)
    receiver.url = f"https://localhost:{server.port}/collect"
    try:
        yield receiver
    finally:
        receiver.released.set()
        await server.close()
