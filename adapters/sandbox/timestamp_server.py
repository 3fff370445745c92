"""The time-stamping authority as a process of its own: `python -m adapters.sandbox.timestamp_server --config FILE`.

RFC 3161 §3.4 over plain HTTP, as usual for authorities: what is sent is a hash, what comes is signed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from adapters.sandbox.serving import Site, run
from adapters.sandbox.timestamp_authority import TimestampAuthority, TimestampRefused

PATH = "/timestamp"
_BODY_BYTES_MAX = 16_384


class TimestampApi:
    """`POST /timestamp`."""

    def __init__(self, authority: TimestampAuthority) -> None:
        self._authority = authority

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_post(PATH, self._stamp)
        return app

    async def _stamp(self, request: web.Request) -> web.Response:
        if request.content_type != "application/timestamp-query":
            return web.Response(status=415)
        try:
            answer = await self._authority.reply(await request.read())
        except (TimestampRefused, TimeoutError):
            return web.Response(status=503)
        return web.Response(body=answer, content_type="application/timestamp-reply")


def sites(config: dict[str, Any], folder: Path) -> list[Site]:
    """What is listened on where. The configuration is what `world` writes; its paths are relative to `folder`."""
    authority = TimestampAuthority(
        config["openssl"],
        folder.absolute(),
        certificate=(folder / config["certificateFile"]).absolute(),
        key=(folder / config["keyFile"]).absolute(),
    )
    return [(TimestampApi(authority).application(), config["port"], None)]


def main() -> None:
    parser = argparse.ArgumentParser(description="The sandbox's time-stamping authority.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file that the sandbox has written")
    file: Path = parser.parse_args().config
    run(sites(orjson.loads(file.read_bytes()), file.parent))


if __name__ == "__main__":
    main()
