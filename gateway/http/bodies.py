"""Reading request bodies within limits: size, time, media type, no content coding.

A body is read once, by the handler that wants it; what is not wanted is never read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestPayloadError

from gateway.errors import GatewayError, MediaTypeUnsupported, RequestTimeout, SchemaInvalid, TooLarge

JSON = "application/json"
OCTETS = "application/octet-stream"
CHUNK_BYTES = 65_536


def require_media_type(request: web.BaseRequest, media_type: str) -> None:
    """Raises MediaTypeUnsupported unless Content-Type is `media_type`, with no charset or UTF-8."""
    field = request.headers.get("Content-Type", "")
    if field == media_type:
        return
    essence, *parameters = field.split(";")
    if essence.strip().lower() == media_type:
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset" and value.strip().strip('"').lower() != "utf-8":
                break
        else:
            return
    raise MediaTypeUnsupported(f"The body must be {media_type}", headers={"Accept": media_type})


async def read_body(request: web.BaseRequest, *, bytes_max: int, timeout_seconds: float) -> bytes:
    """The whole body, which has to arrive within `timeout_seconds`.

    Raises TooLarge, RequestTimeout, MediaTypeUnsupported (a content coding), SchemaInvalid (broken framing, cut off).
    """
    _check_framing(request, bytes_max)
    content = request.content
    try:
        if content.is_eof():  # came together with the header, as small bodies do
            data = content.read_nowait()
        else:
            async with asyncio.timeout(timeout_seconds):
                data = await _collect(content, bytes_max)
    except (RequestPayloadError, ConnectionError, TimeoutError) as error:
        raise _arrival_error(error) from error
    if len(data) > bytes_max:
        raise TooLarge()
    return data


async def chunks(request: web.BaseRequest, *, bytes_max: int, timeout_seconds: float) -> AsyncIterator[bytes]:
    """The body in pieces of about CHUNK_BYTES; each has to arrive within `timeout_seconds`, so that a drip ends.

    Raises as `read_body` does, at any piece.
    """
    _check_framing(request, bytes_max)
    content = request.content
    total = 0
    while True:
        try:
            async with asyncio.timeout(timeout_seconds):
                piece = await _collect(content, CHUNK_BYTES - 1)
        except (RequestPayloadError, ConnectionError, TimeoutError) as error:
            raise _arrival_error(error) from error
        total += len(piece)
        if total > bytes_max:
            raise TooLarge()
        if not piece:
            return
        yield piece


async def _collect(content: StreamReader, above: int) -> bytes:
    """What arrives until more than `above` bytes are there, or the end."""
    parts: list[bytes] = []
    size = 0
    while size <= above:
        part = await content.readany()
        if not part:
            break
        parts.append(part)
        size += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_framing(request: web.BaseRequest, bytes_max: int) -> None:
    coding = request.headers.get("Content-Encoding")
    if coding is not None and coding.strip().lower() != "identity":
        raise MediaTypeUnsupported("Content codings are not supported", headers={"Accept-Encoding": "identity"})
    length = request.content_length
    if length is not None and length > bytes_max:
        raise TooLarge()


def _arrival_error(error: Exception) -> GatewayError:
    if isinstance(error, TimeoutError):
        return RequestTimeout()
    return SchemaInvalid("The body was cut off or is not framed as HTTP/1.1 wants it")
