"""The sandbox's TLS is 1.3 and mutual where it says so; sites close behind their block."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from adapters.sandbox.serving import client_context, listening, server_context
from tests.fakes_sandbox import Site


async def version(request: web.Request) -> web.Response:
    assert request.transport is not None
    return web.Response(text=request.transport.get_extra_info("ssl_object").version())


def application() -> web.Application:
    app = web.Application()
    app.router.add_get("/", version)
    return app


@pytest.fixture
def context(tmp_path: Path) -> tuple[Site, ssl.SSLContext]:
    site = Site(tmp_path)
    folder = site.folder / "platform/tls/server"
    return site, server_context(folder / "cert.pem", folder / "key.pem", site.folder / "pki/dvp-ca.pem")


async def test_a_member_connects_with_tls_1_3(context: tuple[Site, ssl.SSLContext]) -> None:
    site, server = context
    own = site.folder / "gateway/tls/client"
    client = client_context(site.folder / "pki/dvp-ca.pem", own / "cert.pem", own / "key.pem")
    async with listening([(application(), site.ports.platform, server)]), aiohttp.ClientSession() as session:
        url = f"https://localhost:{site.ports.platform}/"
        async with session.get(url, ssl=client) as response:
            assert await response.text() == "TLSv1.3"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url, ssl=client)


async def test_nobody_connects_without_a_certificate_or_with_tls_1_2(context: tuple[Site, ssl.SSLContext]) -> None:
    site, server = context
    own = site.folder / "gateway/tls/client"
    old = ssl.create_default_context(cafile=site.folder / "pki/dvp-ca.pem")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.load_cert_chain(own / "cert.pem", own / "key.pem")
    async with listening([(application(), site.ports.platform, server)]), aiohttp.ClientSession() as session:
        for client in (client_context(site.folder / "pki/dvp-ca.pem"), old):
            with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
                await session.get(f"https://localhost:{site.ports.platform}/", ssl=client)
