"""One listener: accepts, shakes hands, bounds the number of connections, swaps its TLS context, drains."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable
from types import ModuleType

from aiohttp import http_parser, web

from gateway.core.model import Certificate
from gateway.http.connection import Connection, ConnectionLimits
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics
from gateway.settings import Listener

__all__ = ["ConnectionLimits", "ListenerServer", "require_c_parser"]

TLS_SHUTDOWN_SECONDS = 5.0
ACCEPT_PAUSE_SECONDS = 0.5  # when the process is out of file descriptors
BACKLOG = 1_024


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
        self._handshakes: dict[Connection, asyncio.Task[None]] = {}
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
        for connection, handshake in list(self._handshakes.items()):
            if not connection.began:
                handshake.cancel()
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
            except ConnectionError:
                continue  # gone again before it was accepted
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
            handshake = group.create_task(self._greet(loop, connection, accepted), name=f"handshake {self.name}")
            self._handshakes[connection] = handshake
            # Not in a `finally` of the task: one that is cancelled before its first step has none.
            handshake.add_done_callback(functools.partial(self._greeted, connection, accepted))

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
        except Exception as error:  # one peer's handshake must not end the task group that all share
            self.refused("handshake")
            self.failed(error)

    def _greeted(self, connection: Connection, accepted: socket.socket, _handshake: asyncio.Task[None]) -> None:
        del self._handshakes[connection]
        if not connection.began:
            accepted.close()
            self.finished(connection)
        elif self._draining:
            connection.leave()

    def _connection(self, loop: asyncio.AbstractEventLoop) -> Connection:
        manager = self._runner.server
        if manager is None:
            raise RuntimeError("not started")
        return Connection(self, manager, loop=loop, limits=self.limits)

    def _note_if_empty(self) -> None:
        if self._draining and not self._connections:
            self._empty.set()


def require_c_parser(module: ModuleType) -> None:
    """Raises RuntimeError without aiohttp's C parser: the Python one is slower, and looser in what it takes."""
    fast = getattr(module, "HttpRequestParserC", None)
    if fast is None or module.HttpRequestParser is not fast:
        raise RuntimeError("aiohttp was installed without its C parser; install a binary wheel")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    listening.setblocking(False)
    return listening
