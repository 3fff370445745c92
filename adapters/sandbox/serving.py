"""How the sandbox's processes listen and call: TLS 1.3 contexts, and a run of aiohttp applications until a signal."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

_SHUTDOWN_SECONDS = 2.0

Site = tuple[web.Application, int, ssl.SSLContext | None]
"""An application, its port on 127.0.0.1, and its TLS context; None is plain HTTP."""


Background = Callable[[], Coroutine[Any, Any, None]]
"""Work beside the listeners; it runs until it is cancelled, or ends by itself."""


def server_context(certificate: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """TLS 1.3 only. With `client_ca` a client certificate is required, and no session outlives its connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


def client_context(ca: Path, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """TLS 1.3 only, trusting `ca` alone; with a client certificate when one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def run(sites: Sequence[Site], background: Sequence[Background] = ()) -> None:
    """Serve on uvloop until SIGINT or SIGTERM; `background` runs beside and is cancelled then."""
    uvloop.run(_serve(sites, background))


@asynccontextmanager
async def listening(sites: Sequence[Site]) -> AsyncIterator[None]:
    """All sites are open inside, and closed behind it."""
    async with AsyncExitStack() as stack:
        for app, port, context in sites:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, backlog=1024).start()
        yield


async def _serve(sites: Sequence[Site], background: Sequence[Background]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with listening(sites), asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for work in background]
        await stopped.wait()
        for task in tasks:
            task.cancel()
