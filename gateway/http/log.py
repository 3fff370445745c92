"""The `log` listener: the published folder, read-only, over plain HTTP behind the bank's own TLS (C2SP tlog-tiles).

Only names that a published log has are looked up; there is no listing, and 404 for all else.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from aiohttp import web

from gateway.audit.published import Kind, kind
from gateway.errors import NotFound
from gateway.followers.threads import InThread
from gateway.ports import TileStore

_IMMUTABLE = "public, max-age=31536000, immutable"
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Headers:
    content_type: str
    cache_control: str


_HEADERS = {
    Kind.CHECKPOINT: _Headers(_TEXT, "no-cache"),  # asked again each time; the ETag makes it cheap
    Kind.TILE: _Headers("application/octet-stream", _IMMUTABLE),
    # Until its token is there it may be written again, with other cosignatures; the two are kept or fetched together.
    Kind.STAMPED: _Headers(_TEXT, "no-cache"),
    Kind.TOKEN: _Headers("application/timestamp-reply", "no-cache"),  # RFC 3161 §3.4
}


class PublishedLog:
    def __init__(self, store: TileStore, *, in_thread: InThread = asyncio.to_thread) -> None:
        """`in_thread`: where files are read, however many are asked for at once."""
        self._store = store
        self._in_thread = in_thread

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/{path:.+}", self.file)]  # HEAD too

    async def file(self, request: web.Request) -> web.Response:
        # As it was sent: an encoded slash or dot is no other spelling of a name.
        path = request.raw_path.partition("?")[0].removeprefix("/")
        found = kind(path)
        data = await self._in_thread(self._store.read, path) if found is not None else None
        if found is None or data is None:
            raise NotFound()
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        headers = {"Cache-Control": _HEADERS[found].cache_control, "ETag": etag}
        if _matches(request.headers.get("If-None-Match", ""), etag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, headers=headers | {"Content-Type": _HEADERS[found].content_type})


def _matches(field: str, etag: str) -> bool:
    """RFC 9110 §13.1.2, compared weakly."""
    listed = [item.strip().removeprefix("W/") for item in field.split(",")]
    return etag in listed or field.strip() == "*"
