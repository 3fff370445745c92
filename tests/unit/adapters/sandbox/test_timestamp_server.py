"""The authority over HTTP (RFC 3161 §3.4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import aiohttp
from rfc3161_client import TimestampRequestBuilder, decode_timestamp_response

from tests.fakes_sandbox import Site

QUERY = TimestampRequestBuilder().data(b"a checkpoint").build().as_bytes()


async def post(url: str, content_type: str, body: bytes = QUERY) -> tuple[int, str, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers={"Content-Type": content_type}) as response,
    ):
        return response.status, response.content_type, await response.read()


async def test_queries_are_answered_by_their_media_type(tmp_path: Path, require_tool: Callable[..., Path]) -> None:
    require_tool("openssl")
    site = Site(tmp_path)
    async with site.timestamps() as url:
        status, content_type, answer = await post(url, "application/timestamp-query")
        assert (status, content_type) == (200, "application/timestamp-reply")
        assert decode_timestamp_response(answer).status == 0
        assert (await post(url, "text/plain"))[0] == 415
        assert (await post(url, "application/timestamp-query", bytes(20_000)))[0] == 413
        (tmp_path / "timestamps/signer/key.pem").unlink()
        assert (await post(url, "application/timestamp-query"))[0] == 503
