"""One listener: accepts, shakes hands, bounds connections, drains. HTTP itself is aiohttp's.

aiohttp's connection class is extended where its defaults do not fit: what is malformed is answered as a problem and
never echoed or traced, and a client that leaves does not cut a flow that has begun.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

from aiohttp import http_parser, web, web_protocol
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from gateway.core.model import Certificate
from gateway.errors import GatewayError, Internal, SchemaInvalid, TooLarge
from gateway.http import problems
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics
from gateway.settings import Limits, Listener, TlsListener
from gateway.tls import peer_certificate

SERVER_FIELD = "cdi-gateway"
HEADERS_MAX = 64
HEADER_TOTAL_FACTOR = 4  # a whole header may have this many times the limit of one field
LINGER_SECONDS = 1.0  # for a client to read a refusal while it still sends its body
TLS_SHUTDOWN_SECONDS = 5.0
ACCEPT_PAUSE_SECONDS = 0.5  # when the process is out of file descriptors
BACKLOG = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Bounds on connections; the defaults are those of a plain listener."""

    connections_max: int = 256
    handshake_timeout_seconds: float = 10
    header_timeout_seconds: float = 10
    keepalive_timeout_seconds: float = 60
    header_bytes_max: int = 16_384
    write_timeout_seconds: float = 30  # a peer that does not read for that long is cut off

    @classmethod
    def of(cls, listener: Listener, limits: Limits) -> ConnectionLimits:
        if not isinstance(listener, TlsListener):
            return cls(write_timeout_seconds=limits.body_timeout_seconds)
        return cls(
            connections_max=listener.connections_max,
            handshake_timeout_seconds=listener.handshake_timeout_seconds,
            header_timeout_seconds=listener.header_timeout_seconds,
            keepalive_timeout_seconds=listener.keepalive_timeout_seconds,
            header_bytes_max=listener.header_bytes_max,
            write_timeout_seconds=limits.body_timeout_seconds,
        )


class ListenerServer:
    """Serves one application on one address."""

    def __init__(
        self,
        name: str,
        application: web.Application,
        listener: Listener,
        context: ssl.SSLContext | None,
        limits: ConnectionLimits,
        *,
        metrics: Metrics,
        log: Log,
    ) -> None:
        require_c_parser(http_parser)
        self.name = name
        self.limits = limits
        self._listener = listener
        self._context = context
        self._log = log
        self._open = metrics.connections(name)
        self._refused = {
            reason: metrics.connections_refused(name, reason)
            for reason in ("limit", "handshake", "header_timeout", "write_timeout", "malformed")
        }
        # Handler cancellation stays off (aiohttp's default): an abandoned flow still records its outcome.
        self._runner = web.AppRunner(application, handle_signals=False, access_log=None)
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._connections: set[Connection] = set()
        self._draining = False
        self._empty = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is listened on, also when the configured one was 0."""
        if self._socket is None:
            raise RuntimeError("not started")
        return int(self._socket.getsockname()[1])

    @property
    def connections(self) -> int:
        """Open connections, handshakes under way and flows of clients that left included."""
        return len(self._connections)

    async def start(self, group: asyncio.TaskGroup) -> None:
        """Listen. Accepting and handshakes are tasks of `group`; cancel-safe. Raises OSError (address in use)."""
        await self._runner.setup()
        self._socket = _listen(self._listener.host, self._listener.port)
        self._accepting = group.create_task(self._accept(self._socket, group), name=f"accept {self.name}")

    def swap_context(self, context: ssl.SSLContext) -> None:
        """New connections use `context`; open ones close when idle or after their answer, so that every client is
        verified anew. No request is dropped."""
        self._context = context
        for connection in list(self._connections):
            connection.leave()

    def close_connections_where(self, predicate: Callable[[Certificate], bool]) -> int:
        """Cut the connections of these certificates at once. Their flows go on to their record; nobody gets the answer.

        Returns how many were cut.
        """
        cut = [item for item in self._connections if item.certificate is not None and predicate(item.certificate)]
        for connection in cut:
            connection.cut()
        return len(cut)

    async def drain(self, timeout_seconds: float) -> None:
        """Stop: accept no more, close idle connections, let running requests finish with `Connection: close`.

        What still runs after `timeout_seconds` is cut off and cancelled.
        """
        self._draining = True
        if self._accepting is not None:
            self._accepting.cancel()
        if self._socket is not None:
            self._socket.close()
        for connection in list(self._connections):
            connection.leave()
        self._note_if_empty()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._empty.wait()
        except TimeoutError:
            self._log.event("listener.cut", level="warning", listener=self.name, count=len(self._connections))
            for connection in list(self._connections):
                connection.cut()
                connection.cancel()
        await self._runner.cleanup()

    # --- called by its connections -------------------------------------------------------------------------

    def finished(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._open.dec()
            self._note_if_empty()

    def refused(self, reason: str) -> None:
        self._refused[reason].inc()

    def failed(self, error: BaseException) -> None:
        self._log.failure("connection.failed", error, listener=self.name)

    # --- accepting -----------------------------------------------------------------------------------------

    async def _accept(self, listening: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:
                self._log.failure("listener.accept_failed", error, listener=self.name)
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            if len(self._connections) >= self.limits.connections_max:
                # Counted from here on, so that handshakes are bounded as well.
                accepted.close()
                self.refused("limit")
                continue
            connection = self._connection(loop)
            self._connections.add(connection)
            self._open.inc()
            group.create_task(self._greet(loop, connection, accepted), name=f"handshake {self.name}")

    async def _greet(self, loop: asyncio.AbstractEventLoop, connection: Connection, accepted: socket.socket) -> None:
        tls = self._context is not None
        try:
            await loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=self.limits.handshake_timeout_seconds if tls else None,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if tls else None,
            )
        except OSError:  # ssl.SSLError, ConnectionError and TimeoutError are OSErrors
            self.refused("handshake")
        finally:
            if not connection.began:
                accepted.close()
                self.finished(connection)
        if self._draining:
            connection.leave()

    def _connection(self, loop: asyncio.AbstractEventLoop) -> Connection:
        manager = self._runner.server
        if manager is None:
            raise RuntimeError("not started")
        return Connection(self, manager, loop=loop, limits=self.limits)

    def _note_if_empty(self) -> None:
        if self._draining and not self._connections:
            self._empty.set()


class Connection(web_protocol.RequestHandler):
    """One client's connection."""

    __slots__ = (
        "_flow",
        "_header_bytes",
        "_leaving",
        "_limits",
        "_listener",
        "_timers",
        "_wire",
        "began",
        "certificate",
    )

    def __init__(
        self,
        listener: ListenerServer,
        manager: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=limits.keepalive_timeout_seconds,
            access_log=None,  # type: ignore[arg-type]  # None is what aiohttp itself passes on for "no access log"
            max_line_size=limits.header_bytes_max,
            max_field_size=limits.header_bytes_max,
            max_headers=HEADERS_MAX,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,
        )
        self._listener = listener
        self._limits = limits
        self._leaving = False
        self._header_bytes = 0
        self._flow: asyncio.Task[Any] | None = None
        self._wire: asyncio.Transport | None = None  # aiohttp forgets its own once it has asked for the close
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.began = False
        self.certificate: Certificate | None = None

    # --- ends ----------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Close when idle, else after the running request's answer, which then says `Connection: close`."""
        self._leaving = True
        if not self.began:
            return
        self.keep_alive(False)
        if self._idle():
            self.force_close()

    def cut(self) -> None:
        """Drop the connection now; what its request has begun goes on."""
        self._leaving = True
        if self._wire is not None:
            self._wire.abort()

    def cancel(self) -> None:
        if self._flow is not None:
            self._flow.cancel()

    def _idle(self) -> bool:
        """Waiting for a request, or not yet at the first. False once a request was taken up, also before it runs."""
        waiter = self._waiter
        return not self._messages and (self._flow is None or (waiter is not None and not waiter.done()))

    # --- asyncio.Protocol ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.began = True
        self._wire = cast(asyncio.Transport, transport)
        super().connection_made(transport)
        try:
            self.certificate = peer_certificate(transport)
        except ValueError:  # OpenSSL accepted it, but it is not X.509 as RFC 5280 wants it
            self._refuse("malformed")
            return
        self._arm("header_timeout", self._limits.header_timeout_seconds, self._header_overdue)

    def connection_lost(self, exc: BaseException | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._wire = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._idle():
            self._header_bytes = 0
            return
        # Nothing is complete yet, so these bytes are of a header. Its fields are bounded one by one; this bounds all.
        self._header_bytes += len(data)
        if self._header_bytes > HEADER_TOTAL_FACTOR * self._limits.header_bytes_max:
            self._refuse("malformed")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._arm("write_timeout", self._limits.write_timeout_seconds, lambda: self._refuse("write_timeout"))

    def resume_writing(self) -> None:
        super().resume_writing()
        self._disarm("write_timeout")

    def _arm(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(seconds, act)

    def _disarm(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _header_overdue(self) -> None:
        self._disarm("header_timeout")
        if self._request_count == 0:
            self._refuse("header_timeout")

    def _refuse(self, reason: str) -> None:
        self._listener.refused(reason)
        self.cut()

    # --- aiohttp's RequestHandler --------------------------------------------------------------------------

    async def start(self) -> None:
        self._flow = asyncio.current_task()
        try:
            await super().start()
        finally:
            self._listener.finished(self)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            # From outside the boundary (Expect, the ops listener): aiohttp's text may repeat what the client sent.
            resp = _problem(problems.of_http_exception(resp))
        if self._leaving:
            resp.force_close()
        if not resp.prepared:
            resp.headers["Server"] = SERVER_FIELD
        done = await super().finish_response(request, resp, start_time)
        if self.writing_paused:
            # Small answers are written without waiting; a client that pipelines and never reads must not pile them up.
            await self._drain_helper()
        return done

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # aiohttp's signature
    ) -> web.StreamResponse:
        """What is no HTTP request, or broke outside the boundary. aiohttp's texts, which hold input, are not used."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        if status < 500:
            self._listener.refused("malformed")
        elif exc is not None:
            self.log_exception("unhandled", exc_info=exc)
        resp = _problem(_malformed(exc) if status < 500 else Internal())
        resp.force_close()
        resp.headers["Connection"] = "close"  # aiohttp takes what it could not read for HTTP/1.0, and would not say it
        return resp

    def log_exception(self, *_: object, exc_info: BaseException | None = None, **__: object) -> None:
        if exc_info is not None:
            self._listener.failed(exc_info)


def require_c_parser(module: ModuleType) -> None:
    """Raises RuntimeError without aiohttp's C parser: the Python one is slower, and looser in what it takes."""
    fast = getattr(module, "HttpRequestParserC", None)
    if fast is None or module.HttpRequestParser is not fast:
        raise RuntimeError("aiohttp was installed without its C parser; install a binary wheel")


def _malformed(error: BaseException | None) -> GatewayError:
    if isinstance(error, LineTooLong) or (
        isinstance(error, BadHttpMessage) and error.message.startswith("Too many headers")
    ):
        return TooLarge("The request line, a header field or the number of fields is above its limit")
    return SchemaInvalid("The message is not HTTP/1.1 as RFC 9112 wants it")


def _problem(error: GatewayError) -> web.Response:
    return problems.response(error, interaction=str(uuid.uuid4()))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    listening.setblocking(False)
    return listening
