"""`ports.EventTarget` over syslog on TLS (RFC 5425): framed messages on one kept connection.

Syslog has no acknowledgement of its own. What stands in for it: the peer's kernel has acknowledged every byte, and the
connection still lives then. A receiver that dies between its kernel and its disk loses what it had; the index in each
event shows that. Who needs more takes the HTTPS target.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from gateway.errors import UpstreamUnavailable

PORT = 6514  # RFC 5425 §4.1
_LOOK_SECONDS = 0.002
_SETTLE_SECONDS = 0.5
_RECORD_BYTES = 16 * 1024


class SyslogTls:
    """One connection, opened when it is needed; not used any more after `close`."""

    def __init__(self, url: str, *, ssl_context: ssl.SSLContext, timeout_seconds: float) -> None:
        """Raises ValueError for anything but `syslog+tls://HOST[:PORT]`."""
        parts = urlsplit(url)
        if parts.scheme != "syslog+tls" or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("a syslog target is syslog+tls://HOST:PORT")
        self._host = parts.hostname
        self._port = PORT if parts.port is None else parts.port
        self._ssl_context = ssl_context
        self._timeout_seconds = timeout_seconds
        self._connection: ssl.SSLSocket | None = None
        # Its own: a receiver that hangs must not hold threads that others wait for; and one thread is one delivery at a
        # time, also when a call was cancelled and left it at work.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="syslog")

    async def deliver(self, events: Sequence[bytes]) -> None:
        """See the port. What was sent before a failure is sent again with the whole batch, on a new connection."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._deliver, b"".join(events))
        except OSError as error:  # ssl.SSLError and timeouts are some
            raise UpstreamUnavailable(private=f"syslog_{type(error).__name__}") from error

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    # --- in the thread ------------------------------------------------------------------------------------------

    def _deliver(self, data: bytes) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        try:
            connection = self._connected()
            _send(connection, data, deadline)
            _wait_acknowledged(connection, deadline)
        except OSError:
            self._disconnect()
            raise

    def _connected(self) -> ssl.SSLSocket:
        if self._connection is not None:
            # A receiver that was restarted has closed its end while nothing was sent.
            with contextlib.suppress(OSError):
                _look(self._connection, 0)
                return self._connection
            self._disconnect()
        plain = socket.create_connection((self._host, self._port), timeout=self._timeout_seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection = self._ssl_context.wrap_socket(plain, server_hostname=self._host)
        except OSError:
            plain.close()
            raise
        self._connection = connection
        # In TLS 1.3 a client is done before the server has looked at its certificate (RFC 8446 §4.4). What is written
        # before a refusal would look as if it had arrived; the server's first word, mostly a ticket, ends the wait.
        _look(connection, _SETTLE_SECONDS)
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


def _send(connection: ssl.SSLSocket, data: bytes, deadline: float) -> None:
    rest = memoryview(data)
    while rest:
        # By parts, since a limit on the whole is none that `ssl` knows: a slow reader could take for ever.
        connection.settimeout(_left(deadline))
        rest = rest[connection.send(rest[:_RECORD_BYTES]) :]


def _wait_acknowledged(connection: ssl.SSLSocket, deadline: float) -> None:
    while _unacknowledged(connection):
        _left(deadline)
        _look(connection, _LOOK_SECONDS)
    _look(connection, 0)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _unacknowledged(connection: ssl.SSLSocket) -> int:
    """Bytes that the peer's kernel has not acknowledged yet (tcp(7), SIOCOUTQ, which is TIOCOUTQ)."""
    answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    count: int = struct.unpack("i", answer)[0]
    return count


def _look(connection: ssl.SSLSocket, seconds: float) -> None:
    """Wait that long for a word of the peer: its end (raises OSError), or what is TLS's own."""
    readable = select.poll()  # `select` itself knows no descriptor above 1,023
    readable.register(connection, select.POLLIN)
    if not connection.pending() and not readable.poll(seconds * 1_000):
        return
    connection.settimeout(0)
    try:
        if not connection.recv(4_096):
            raise ConnectionResetError
    except ssl.SSLWantReadError:
        return  # a session ticket, for one; TLS takes it in by itself
