"""One POST of one signed message over mutual TLS, and the bytes of the answer: nothing here knows what they say.

Requests cost CPU on the hot path, so connections are kept, and what is the same in all requests is written once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from urllib.parse import urlsplit

from adapters.platforms.connection import Connection
from adapters.platforms.response import Response, ResponseError, ResponseTooLarge
from gateway.ports import TraceContext

MEDIA_TYPE = "application/jose"
KEPT_SECONDS = 30.0

# What a proxy or an overloaded server says about itself; repeating a question is safe, and may find it well again.
_TRANSIENT = frozenset({429, 502, 503, 504})


class NoAnswer(Exception):
    """The platform did not answer. `repeatable`: another try may help, after `pause_seconds` if that is known."""

    def __init__(self, *, repeatable: bool, pause_seconds: float = 0.0) -> None:
        super().__init__("no answer")
        self.repeatable = repeatable
        self.pause_seconds = pause_seconds


class NotAMessage(Exception):
    """Something came back that cannot be a signed message."""


class HttpTransport:
    """Keeps idle connections, at most `connections_max`, each for `kept_seconds`; never more are open than there were
    calls at once. Follows no redirect, keeps no cookie, uses no proxy."""

    def __init__(
        self,
        url: str,
        *,
        ssl_context: ssl.SSLContext,
        connections_max: int,
        answer_bytes_max: int,
        user_agent: str,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        """Raises ValueError for anything but an https URL with a host."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError("the platform's URL must be https and name a host")
        self._host = parts.hostname.encode("idna").decode()  # as the resolver would: a bad name fails here, at start
        self._port = 443 if parts.port is None else parts.port
        self._ssl_context = ssl_context
        self._connections_max = connections_max
        self._answer_bytes_max = answer_bytes_max
        self._kept_seconds = kept_seconds
        self._idle: deque[tuple[float, Connection]] = deque()  # by the time of their last use, latest last
        self._head = (
            f"POST {parts.path or '/'} HTTP/1.1\r\n"
            f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
            f"User-Agent: {user_agent}\r\n"
            f"Content-Type: {MEDIA_TYPE}\r\n"
            f"Accept: {MEDIA_TYPE}\r\n"
            "Accept-Encoding: identity\r\n"
        ).encode("ascii")

    async def post(self, message: bytes, trace: TraceContext | None) -> bytes:
        """The answer's body. Raises NoAnswer or NotAMessage. Takes what time it takes: the caller sets the limit."""
        connection = self._kept() or await self._opened()
        try:
            response = await connection.exchange(self._request(message, trace))
        except (ConnectionError, ResponseError) as error:
            raise NoAnswer(repeatable=True) from error
        except ResponseTooLarge as error:
            raise NotAMessage from error
        finally:
            self._keep(connection)
        if not response.body:  # a status alone, or a page about it
            raise _no_message(response)
        return response.body

    async def close(self) -> None:
        """Close the idle connections. Those in use are closed when their call ends."""
        self._connections_max = 0  # none is kept any more
        while self._idle:
            self._idle.pop()[1].abort()

    def _kept(self) -> Connection | None:
        """The connection that was used last: the others grow old, so their number follows the load."""
        oldest = asyncio.get_running_loop().time() - self._kept_seconds
        while self._idle and self._idle[0][0] <= oldest:
            self._idle.popleft()[1].abort()
        while self._idle:
            connection = self._idle.pop()[1]
            if connection.reusable:  # the server may have closed it meanwhile
                return connection
        return None

    async def _opened(self) -> Connection:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                self._connection, self._host, self._port, ssl=self._ssl_context, server_hostname=self._host
            )
        except ssl.SSLError as error:
            raise NoAnswer(repeatable=False) from error  # another certificate will not come within the deadline
        except OSError as error:
            raise NoAnswer(repeatable=True) from error
        return connection

    def _connection(self) -> Connection:
        return Connection(media_type=MEDIA_TYPE.encode(), answer_bytes_max=self._answer_bytes_max)

    def _keep(self, connection: Connection) -> None:
        # After a deadline or a broken answer it is not reusable: what still comes there must not be read as an answer.
        if connection.reusable and len(self._idle) < self._connections_max:
            self._idle.append((asyncio.get_running_loop().time(), connection))
        else:
            connection.abort()

    def _request(self, message: bytes, trace: TraceContext | None) -> bytes:
        traceparent = b"" if trace is None else b"traceparent: %b\r\n" % trace.traceparent.encode("ascii")
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self._head, traceparent, len(message), message)


def _no_message(response: Response) -> NoAnswer | NotAMessage:
    if response.status < 300:
        return NotAMessage()
    return NoAnswer(repeatable=response.status in _TRANSIENT, pause_seconds=response.pause_seconds)
