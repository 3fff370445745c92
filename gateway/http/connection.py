"""One client's connection: its bounds, its ends, and how what is not HTTP is answered. HTTP itself is aiohttp's.

aiohttp's connection class is extended where its defaults do not fit: what is malformed is answered as a problem and
never echoed or traced, and a client that leaves does not cut a flow that has begun.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from aiohttp import web, web_protocol
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from gateway.core.model import Certificate
from gateway.errors import GatewayError, Internal, SchemaInvalid, TooLarge
from gateway.http import problems
from gateway.settings import Limits, Listener, ServerTlsListener
from gateway.tls import peer_certificate

SERVER_FIELD = "cdi-gateway"
HEADERS_MAX = 64
HEADER_TOTAL_FACTOR = 4  # a whole header may have this many times the limit of one field
LINGER_SECONDS = 1.0  # for a client to read a refusal while it still sends its body


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
        if not isinstance(listener, ServerTlsListener):
            return cls(write_timeout_seconds=limits.body_timeout_seconds)
        return cls(
            connections_max=listener.connections_max,
            handshake_timeout_seconds=listener.handshake_timeout_seconds,
            header_timeout_seconds=listener.header_timeout_seconds,
            keepalive_timeout_seconds=listener.keepalive_timeout_seconds,
            header_bytes_max=listener.header_bytes_max,
            write_timeout_seconds=limits.body_timeout_seconds,
        )


class Owner(Protocol):
    """What a connection reports to: its listener."""

    def finished(self, connection: Connection) -> None:
        """The connection is closed, and its last request's flow has ended."""

    def refused(self, reason: str) -> None:
        """Count something that got no further, by a fixed reason."""

    def failed(self, error: BaseException) -> None:
        """Log what broke outside the boundary."""


class Connection(web_protocol.RequestHandler):
    """One client's connection."""

    __slots__ = (
        "_flow",
        "_header_bytes",
        "_leaving",
        "_limits",
        "_owner",
        "_timers",
        "_wire",
        "began",
        "certificate",
    )

    def __init__(
        self,
        owner: Owner,
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
        self._owner = owner
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
        except Exception as error:  # OpenSSL accepted it, but it is not X.509 as RFC 5280 wants it
            self._owner.failed(error)
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
        self._owner.refused(reason)
        self.cut()

    # --- aiohttp's RequestHandler --------------------------------------------------------------------------

    async def start(self) -> None:
        self._flow = asyncio.current_task()
        try:
            await super().start()
        finally:
            self._owner.finished(self)

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
            self._owner.refused("malformed")
        elif exc is not None:
            self.log_exception("unhandled", exc_info=exc)
        resp = _problem(_malformed(exc) if status < 500 else Internal())
        resp.force_close()
        resp.headers["Connection"] = "close"  # aiohttp takes what it could not read for HTTP/1.0, and would not say it
        return resp

    def log_exception(self, *_: object, exc_info: BaseException | None = None, **__: object) -> None:
        if exc_info is not None:
            self._owner.failed(exc_info)


def _malformed(error: BaseException | None) -> GatewayError:
    if isinstance(error, LineTooLong) or (
        isinstance(error, BadHttpMessage) and error.message.startswith("Too many headers")
    ):
        return TooLarge("The request line, a header field or the number of fields is above its limit")
    return SchemaInvalid("The message is not HTTP/1.1 as RFC 9112 wants it")


def _problem(error: GatewayError) -> web.Response:
    return problems.response(error, interaction=str(uuid.uuid4()))
