"""One kept connection: a request goes out, its response comes back, then the next request may go.

What the server sends without being asked ends the connection, so that it never becomes the answer to a later request.
"""

from __future__ import annotations

import asyncio
from typing import cast

from adapters.platforms.response import Response, ResponseError, ResponseReader, ResponseTooLarge


class Connection(asyncio.Protocol):
    """Made by the event loop. Whoever calls `exchange` looks at `reusable` afterwards, on every way out."""

    def __init__(self, *, media_type: bytes, answer_bytes_max: int) -> None:
        self._reader = ResponseReader(media_type=media_type, body_bytes_max=answer_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: the last response has ended well and the connection is still there."""
        return self._transport is not None and self._reader.reusable

    async def exchange(self, request: bytes) -> Response:
        """One request and its response. Raises ConnectionError, ResponseError or ResponseTooLarge."""
        if self._transport is None:
            raise ConnectionResetError("closed before the request")
        self._reader.begin()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def abort(self) -> None:
        """Close at once, whatever is under way. Nothing is sent, so a server that does not read cannot delay it."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or answer.done():
            self.abort()
            return
        try:
            self._reader.feed(data)
        except (ResponseError, ResponseTooLarge) as error:
            self.abort()
            answer.set_exception(error)
            return
        if self._reader.response is not None:
            answer.set_result(self._reader.response)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        answer = self._answer
        if answer is None or answer.done():
            return
        if exc is None:
            self._reader.finish()
        if self._reader.response is not None:
            answer.set_result(self._reader.response)
            return
        # Not `exc` itself: among its kinds is TimeoutError, which is the name of our own limits.
        lost = ConnectionResetError("closed before the end of the response")
        lost.__cause__ = exc
        answer.set_exception(lost)
