"""The world at the edge for tests: a PKI on disk, a listener that serves an application, and a client of raw bytes."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import trustme
from aiohttp import web

from gateway.http.boundary import Boundary, InFlight
from gateway.http.server import ConnectionLimits, ListenerServer
from gateway.observe.logs import Log, configure
from gateway.observe.metrics import Metrics
from gateway.settings import Listener, TlsListener
from gateway.tls import client_context, server_context

WAIT_SECONDS = 20  # for what must happen; a test that gets there has failed


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110  # what is awaited sets no event
            await asyncio.sleep(0)


class StepClock:
    """Stands still unless told."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Pki:
    """An authority, a server certificate for localhost, and client certificates, as PEM files in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca_file = folder / f"{name}.pem"
        self.authority.cert_pem.write_to_path(self.ca_file)

    def issue(self, name: str, *identities: str) -> tuple[Path, Path]:
        """Certificate chain and key files."""
        leaf = self.authority.issue_cert(*(identities or (f"{name}@bank.example",)), common_name=name)
        certificate_file, key_file = self.folder / f"{name}-cert.pem", self.folder / f"{name}-key.pem"
        certificate_file.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(key_file)
        return certificate_file, key_file

    def listener(self, **changes: Any) -> TlsListener:
        certificate_file, key_file = self.issue("server", "localhost", "127.0.0.1")
        values = {
            "host": "127.0.0.1",
            "port": 0,
            "certificate_file": certificate_file,
            "key_file": key_file,
            "client_ca_file": self.ca_file,
        }
        return TlsListener(**(values | changes))

    def client(self, name: str = "bank-a", *, ca_file: Path | None = None) -> ssl.SSLContext:
        certificate_file, key_file = self.issue(name)
        return client_context(ca_file=ca_file or self.ca_file, certificate_file=certificate_file, key_file=key_file)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


class Client:
    """One connection that sends whatever bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, data: bytes) -> Reply:
        self.send(data)
        return await self.reply()

    async def reply(self) -> Reply:
        """The next answer. Raises EOFError when the server closes instead."""
        async with asyncio.timeout(WAIT_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(status_line.split()[1]), headers, body)

    async def closed(self) -> bytes:
        """What is left until the server closes."""
        async with asyncio.timeout(WAIT_SECONDS):
            try:
                return await self.reader.read()
            except (ConnectionError, ssl.SSLError):
                return b""

    def close(self) -> None:
        self.writer.transport.abort()


@dataclass
class Edge:
    server: ListenerServer
    metrics: Metrics
    clock: StepClock
    stream: io.BytesIO
    clients: list[Client] = field(default_factory=list)

    async def connect(self, context: ssl.SSLContext | None) -> Client:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.server.port, ssl=context, server_hostname="localhost" if context else None
        )
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.stream.getvalue().splitlines()]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def log_to(stream: io.BytesIO) -> Log:
    return configure("debug", stream)


@asynccontextmanager
async def serving(
    *routes: web.AbstractRouteDef,
    listener: Listener | None = None,
    limits: ConnectionLimits | None = None,
    in_flight_max: int = 100,
    application: web.Application | None = None,
) -> AsyncIterator[Edge]:
    """A started listener; drained at the end."""
    listener = listener or Listener(host="127.0.0.1", port=0)
    metrics, clock, stream = Metrics(version="0"), StepClock(), io.BytesIO()
    log = log_to(stream)
    if application is None:
        boundary = Boundary(in_flight=InFlight(in_flight_max), metrics=metrics, log=log, clock=clock)
        application = web.Application(middlewares=[boundary])
        application.add_routes(routes)
    context = server_context(listener) if isinstance(listener, TlsListener) else None
    server = ListenerServer(
        "bank", application, listener, context, limits or ConnectionLimits(), metrics=metrics, log=log
    )
    edge = Edge(server, metrics, clock, stream)
    async with asyncio.TaskGroup() as group:
        await server.start(group)
        try:
            yield edge
        finally:
            for client in edge.clients:
                client.close()
            await server.drain(1)


def get(path: str = "/", *fields: str, host: str = "localhost", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode()


def post(body: bytes, *fields: str, path: str = "/") -> bytes:
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST") + body


async def hello(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(text=f"hello {request.rel_url.query_string}")


class Door:
    """A handler that waits inside until it is let out."""

    def __init__(self) -> None:
        self.entered, self.leave, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.cancelled = False

    async def handle(self, request: web.Request) -> web.Response:
        self.entered.set()
        try:
            await self.leave.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        self.left.set()
        return web.Response(text="done")


async def until_connections(edge: Edge, count: int) -> None:
    await until(lambda: edge.server.connections == count)


async def until_counted(edge: Edge, reason: str) -> None:
    await until(lambda: edge.sample("cdi_connections_refused_total", listener="bank", reason=reason) == 1)
