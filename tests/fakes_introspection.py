"""An issuer of opaque tokens for tests: its introspection endpoint over real TLS, mutual if need be."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.issuers.introspection import IntrospectionVerifier
from tests.fakes import FakeClock
from tests.fakes_oauth import ISSUER, RESOURCE, claims

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeIssuer:
    """`tokens`: what it knows, by token. `handler`: answers instead."""

    url: str = ""
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    handler: Handler | None = None
    seen: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    certified: list[bool] = field(default_factory=list)
    ca: trustme.CA = field(default_factory=trustme.CA)

    def client_context(self, *, certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if certificate:
            self.ca.issue_cert("gateway.example").configure_cert(context)
        return context

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.path)
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        self.authorizations.append(request.headers.get("Authorization"))
        self.certified.append(request.get_extra_info("peercert") is not None)
        if self.handler is not None:
            return await self.handler(request)
        body = self.tokens.get(form["token"], {"active": False})
        return web.Response(body=orjson.dumps(body), content_type="application/json")


def active(**changes: Any) -> dict[str, Any]:
    """The answer about a good token, but for what is changed."""
    return claims(active=True, token_type="Bearer", **changes)


@contextlib.asynccontextmanager
async def running_issuer() -> AsyncIterator[FakeIssuer]:
    issuer = FakeIssuer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.ca.issue_cert("localhost").configure_cert(context)
    issuer.ca.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", issuer.serve)
    server = TestServer(app, host="localhost", scheme="https")
    await server.start_server(ssl=context)
    issuer.url = f"https://localhost:{server.port}/introspect"
    try:
        yield issuer
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def asking(
    issuer: FakeIssuer,
    clock: FakeClock,
    *,
    context: ssl.SSLContext | None = None,
    secret: str | None = None,
    **changes: Any,
) -> AsyncIterator[IntrospectionVerifier]:
    arguments: dict[str, Any] = {
        "issuer": ISSUER,
        "url": issuer.url,
        "client_id": "the gateway",
        "ssl_context": context or issuer.client_context(certificate=True),
        "secret": secret,
        "resource": RESOURCE,
        "approves_consents": False,
        "clock": clock,
        "skew_seconds": 10,
        "lifetime_seconds_max": 3_600.0,
        "cache_seconds": 10.0,
        "cache_max": 100,
        "timeout_seconds": 5.0,
    }
    verifier = IntrospectionVerifier(**arguments | changes)
    try:
        yield verifier
    finally:
        await verifier.aclose()
