"""HTTP to the OpenID provider with bounds: how long an answer may be, how it is encoded, how long a call may take.

No proxy of the environment, no redirect, no cookie, no repeat: what cannot be had directly cannot be had.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

ANSWER_BYTES_MAX = 262_144
_CONNECTIONS_MAX = 8


class Unreachable(Exception):
    """The provider gave no answer that can be used. The message is a code without values."""


class AnswerRefused(httpx.TransportError):
    """The transport stops reading. The message is a code without values."""


class BoundedTransport(httpx.AsyncBaseTransport):
    """Counts what it reads, and stops at `ANSWER_BYTES_MAX`."""

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._inner = httpx.AsyncHTTPTransport(
            verify=ssl_context,
            trust_env=False,
            retries=0,
            limits=httpx.Limits(max_connections=_CONNECTIONS_MAX, max_keepalive_connections=_CONNECTIONS_MAX),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        # What is compressed grows behind the count.
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            await response.aclose()
            raise AnswerRefused("encoding")
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Counted(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > ANSWER_BYTES_MAX:
                raise AnswerRefused("too_large")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def no_cookies() -> CookieJar:
    """A jar that takes none: the provider's sessions are the browser's."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


@contextlib.asynccontextmanager
async def one_call(timeout_seconds: float) -> AsyncIterator[None]:
    """Everything in it is one call. httpx bounds each read; a server that trickles needs a bound on the whole.

    Raises Unreachable.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            yield
    except (TimeoutError, httpx.TimeoutException) as error:
        raise Unreachable("timeout") from error
    except AnswerRefused as error:
        raise Unreachable(str(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise Unreachable("unreachable") from error
