"""The baselines, each a process of its own: a bare server, and a bare reverse proxy, both aiohttp over mutual TLS.

`python tests/bench/bare.py server|proxy --loop uvloop|asyncio --cert … --key … --ca …` prints its port and serves until
it is terminated. The proxy adds `--target URL --client-cert … --client-key … --target-ca …`.
No policy, no schema, no record: what
the frame alone costs.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
import sys

import aiohttp
import uvloop
from aiohttp import web

ANSWER = b'{"status":"DataRequestDataShared","padding":"' + b"x" * 1_000 + b'"}'


def server_context(arguments: argparse.Namespace) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(arguments.cert, arguments.key)
    context.load_verify_locations(arguments.ca)
    return context


async def answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


async def proxy(arguments: argparse.Namespace) -> web.Application:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(arguments.client_cert, arguments.client_key)
    context.load_verify_locations(arguments.target_ca)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=128), cookie_jar=aiohttp.DummyCookieJar()
    )

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {"Content-Type": request.headers["Content-Type"]}
        async with session.post(arguments.target, data=body, headers=headers) as upstream:
            return web.Response(status=upstream.status, body=await upstream.read(), content_type=upstream.content_type)

    async def close(_: web.Application) -> None:
        await session.close()

    application = web.Application()
    application.add_routes([web.post("/{path:.*}", forward)])
    application.on_cleanup.append(close)
    return application


async def main(arguments: argparse.Namespace) -> None:
    if arguments.what == "proxy":
        application = await proxy(arguments)
    else:
        application = web.Application()
        application.add_routes([web.post("/{path:.*}", answer)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(arguments))
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["server", "proxy"])
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    for name in ("cert", "key", "ca", "target", "client-cert", "client-key", "target-ca"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args()
    factory = uvloop.new_event_loop if given.loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as running:
        running.run(main(given))
