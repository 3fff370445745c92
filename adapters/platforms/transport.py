"""One POST of one signed message over mutual TLS, and the bytes of the answer: nothing here knows what they say.

Requests cost CPU on the hot path, so everything that is the same in all of them is made once, per session.
"""

from __future__ import annotations

import ssl

import aiohttp
from yarl import URL

from gateway.ports import TraceContext

MEDIA_TYPE = "application/jose"
_CHUNK_BYTES = 65_536
_RETRY_AFTER_DIGITS_MAX = 5

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
    """Keeps connections alive, at most `connections_max`. Follows no redirect, keeps no cookie, uses no proxy."""

    def __init__(
        self, url: str, *, ssl_context: ssl.SSLContext, connections_max: int, answer_bytes_max: int, user_agent: str
    ) -> None:
        self._url = URL(url)
        self._ssl_context = ssl_context
        self._connections_max = connections_max
        self._answer_bytes_max = answer_bytes_max
        self._headers = {
            "Content-Type": MEDIA_TYPE,
            "Accept": MEDIA_TYPE,
            "Accept-Encoding": "identity",
            "User-Agent": user_agent,
        }
        self._session: aiohttp.ClientSession | None = None

    async def post(self, message: bytes, trace: TraceContext | None) -> bytes:
        """The answer's body. Raises NoAnswer or NotAMessage. Takes what time it takes: the caller sets the limit."""
        session = self._session or self._open()
        headers = {"traceparent": trace.traceparent} if trace is not None else None
        try:
            async with session.post(self._url, data=message, headers=headers, allow_redirects=False) as response:
                if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
                    raise _no_message(response)
                body = await self._body(response)
                if not body:  # a status alone, whatever media type a server puts on nothing
                    raise _no_message(response)
                return body
        except (aiohttp.ClientSSLError, aiohttp.InvalidURL) as error:
            raise NoAnswer(repeatable=False) from error  # another certificate will not come within the deadline
        except (aiohttp.ClientError, ConnectionError) as error:
            raise NoAnswer(repeatable=True) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._ssl_context, limit=self._connections_max, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            auto_decompress=False,
            trust_env=False,
        )
        return self._session

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        length = response.content_length
        if length is not None:
            if length > self._answer_bytes_max:
                response.close()
                raise NotAMessage
            return await response.read()
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._answer_bytes_max:
                response.close()
                raise NotAMessage
        return bytes(body)


def _no_message(response: aiohttp.ClientResponse) -> NoAnswer | NotAMessage:
    response.close()  # whatever the body is, it is not read
    if response.status < 300:
        return NotAMessage()
    return NoAnswer(repeatable=response.status in _TRANSIENT, pause_seconds=_retry_after(response))


def _retry_after(response: aiohttp.ClientResponse) -> float:
    # RFC 9110 §10.2.3: seconds, or a date; a date is not worth a comparison of two clocks.
    value = response.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit() and len(value) <= _RETRY_AFTER_DIGITS_MAX:
        return float(value)
    return 0.0
