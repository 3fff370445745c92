"""A published log at an address, read by GET as C2SP tlog-tiles says, a few files ahead. https://c2sp.org/tlog-tiles

Blocking, for a command that waits: connections are kept, one for each reading thread.
"""

from __future__ import annotations

import ssl
import threading
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from itertools import islice
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlsplit

READERS = 8
AHEAD_MAX = 32  # files read but not yet asked for; each is at most a bundle
TIMEOUT_SECONDS = 30.0
TRIES = 3
_GZIP = 16 + zlib.MAX_WBITS


class LogUnreachable(OSError):
    """The address does not answer as a published log does, and how."""


class HttpSource:
    """See `verifying.Source`. A context manager. Raises LogUnreachable; ValueError for what is no such address."""

    def __init__(self, url: str, *, ca_file: Path | None = None) -> None:
        parts = urlsplit(url)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
        ):
            raise ValueError("an address is http:// or https://, a host and a path, and no more")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._context = ssl.create_default_context(cafile=ca_file) if self._secure else None
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="log-reader")

    def __enter__(self) -> HttpSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        """A connection that the server closed while it rested is opened again; what fails TRIES times has failed."""
        for rest in reversed(range(TRIES)):
            try:
                return self._get(path, bytes_max)
            except LogUnreachable:
                raise
            except (HTTPException, ConnectionError, TimeoutError, zlib.error) as error:
                self._disconnect()
                if not rest:
                    raise LogUnreachable(f"{self._host} does not answer for {path}") from error
            except ssl.SSLError as error:
                raise LogUnreachable(f"{self._host} is not believed: {error.reason or 'TLS'}") from error
            except OSError as error:
                raise LogUnreachable(f"{self._host} cannot be reached: {error.strerror or 'no address'}") from error
        raise AssertionError

    def stream(self, paths: Iterable[str], *, bytes_max: int) -> Iterator[bytes | None]:
        rest = iter(paths)
        waiting: deque[Future[bytes | None]] = deque()
        while True:
            for path in islice(rest, AHEAD_MAX - len(waiting)):
                waiting.append(self._pool.submit(self.read, path, bytes_max=bytes_max))
            if not waiting:
                return
            yield waiting.popleft().result()

    def names(self, folder: str) -> None:
        """HTTP lists nothing."""

    def _get(self, path: str, bytes_max: int) -> bytes | None:
        connection = self._connection()
        connection.request("GET", f"{self._prefix}/{quote(path)}", headers={"Accept-Encoding": "gzip, identity"})
        with connection.getresponse() as response:
            if response.status in {404, 410}:
                response.read()
                return None
            if response.status != 200:
                self._disconnect()
                raise LogUnreachable(f"{self._host} answers {response.status} for {path}")
            return _body(response, bytes_max)

    def _connection(self) -> HTTPConnection:
        found: HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            if self._secure:
                found = HTTPSConnection(self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._context)
            else:
                found = HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
            self._local.connection = found
        return found

    def _disconnect(self) -> None:
        found: HTTPConnection | None = getattr(self._local, "connection", None)
        if found is not None:
            found.close()
            self._local.connection = None


def _body(response: HTTPResponse, bytes_max: int) -> bytes:
    """A log may compress without being asked (tlog-tiles, Log entries). Never more than one byte above the limit."""
    data = response.read(bytes_max + 1)
    if response.length and len(data) <= bytes_max:  # http.client does not mind when the end is missing
        raise HTTPException("body cut short")
    if response.headers.get("Content-Encoding", "identity").lower() != "gzip":
        return data
    return zlib.decompressobj(_GZIP).decompress(data, bytes_max + 1)
