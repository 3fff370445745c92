"""A bank's OpenID provider for tests: real TLS, real keys, one-time codes, PKCE, and every liberty to lie."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import orjson
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, Key

from adapters.login.credentials import Credentials, PrivateKey
from adapters.login.oidc import OidcLogin
from gateway.errors import UpstreamUnavailable
from gateway.ports.authorization import LoginChallenge, LoginRefused, SignedIn
from tests.fakes import FakeClock
from tests.fakes_oauth import b64, ec_key, sign

CLIENT_ID = "cdi gateway"  # the space tells form encoding
CONFIGURATION = "/tenant/.well-known/openid-configuration"
REDIRECT_URI = "https://consent.example/login/callback"
CLIENT_SECRET = "s:e+cret%"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeProvider:
    """What a test sets, it does. `claims`, `header`, `metadata`: merged over what is right (None: left out)."""

    clock: FakeClock
    base: str = ""
    key: Key = field(default_factory=lambda: ec_key("op-1"))
    published: list[Key] = field(default_factory=list)
    client_key: ECKey = field(default_factory=lambda: ec_key("login-1"))
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    signed_in_at: int | None = None
    id_token: Callable[[dict[str, Any]], str] | None = None
    handlers: dict[str, Handler] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    assertions: list[str] = field(default_factory=list)
    sent_cookies: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def issuer(self) -> str:
        return self.base + "/tenant"

    def client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    def approve(self, url: str) -> dict[str, str]:
        """The browser's part: somebody signs in; what comes back to the redirect URI."""
        asked = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
        assert asked["redirect_uri"] == REDIRECT_URI
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.path)
        self.sent_cookies.append(request.headers.get("Cookie", ""))
        handler = self.handlers.get(request.path)
        if handler is not None:
            return await handler(request)
        if request.path == CONFIGURATION:
            right = {
                "issuer": self.issuer,
                "authorization_endpoint": self.base + "/authorize?tenant=1",
                "token_endpoint": self.base + "/token",
                "jwks_uri": self.base + "/keys",
                "authorization_response_iss_parameter_supported": True,
            }
            return _json(_changed(right, self.metadata))
        if request.path == "/keys":
            keys = self.published or [self.key]
            return _json({"keys": [key.as_dict(private=False) for key in keys]})
        if request.path == "/token":
            return await self._token(request)
        return web.Response(status=404)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = dict(parse_qsl(await request.text(), strict_parsing=True))
        if not self._authenticated(request, form):
            return _json({"error": "invalid_client"}, status=401)
        asked = self.codes.pop(form["code"], None)  # once
        challenge = b64(hashlib.sha256(form["code_verifier"].encode()).digest())
        if asked is None or asked["code_challenge"] != challenge or form["redirect_uri"] != REDIRECT_URI:
            return _json({"error": "invalid_grant", "error_description": form["code"]}, status=400)
        token = self.token(asked)
        answer = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": token}
        response = _json(answer)
        response.set_cookie("op", "session")
        return response

    def token(self, asked: dict[str, str]) -> str:
        now = int(self.clock.now())
        right = {
            "iss": self.issuer,
            "sub": "person-1",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "auth_time": now if self.signed_in_at is None else self.signed_in_at,
            "data_owner_id": "owner-7",
            "name": "示例貿易有限公司",
        }
        claims = _changed(right, self.claims)
        if self.id_token is not None:
            return self.id_token(claims)
        return sign(self.key, _changed({"alg": "ES256", "kid": self.key.kid}, self.header), claims)

    def _authenticated(self, request: web.Request, form: dict[str, str]) -> bool:
        basic = request.headers.get("Authorization")
        if basic is not None:
            client, _, secret = base64.b64decode(basic.removeprefix("Basic ")).decode().partition(":")
            return (unquote_plus(client), unquote_plus(secret)) == (CLIENT_ID, CLIENT_SECRET)
        assertion = form["client_assertion"]
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        decoded = jwt.decode(assertion, self.client_key, algorithms=["ES256"])
        claims, now = decoded.claims, self.clock.now()
        fresh = claims["jti"] not in self.assertions and claims["iat"] <= now < claims["exp"] <= now + 300
        self.assertions.append(claims["jti"])
        named = claims["iss"] == claims["sub"] == CLIENT_ID and claims["aud"] == self.issuer
        return fresh and named and decoded.header["kid"] == "login-1"


@contextlib.asynccontextmanager
async def running_provider(clock: FakeClock) -> AsyncIterator[FakeProvider]:
    provider = FakeProvider(clock)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    provider.ca.issue_cert("localhost").configure_cert(context)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.serve)
    server = TestServer(app, host="localhost", scheme="https")
    await server.start_server(ssl=context)
    provider.base = f"https://localhost:{server.port}"
    try:
        yield provider
    finally:
        await server.close()


def _changed(right: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (right | changes).items() if value is not None}


def _json(value: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


@contextlib.asynccontextmanager
async def login_at(
    provider: FakeProvider,
    *,
    credentials: Credentials | None = None,
    context: ssl.SSLContext | None = None,
    **changes: Any,
) -> AsyncIterator[OidcLogin]:
    arguments: dict[str, Any] = {
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "credentials": credentials or PrivateKey(key_id="login-1", secret=provider.client_key),
        "ssl_context": context or provider.client_context(),
        "owner_claim": "data_owner_id",
        "clock": provider.clock,
        "entropy": os.urandom,
    }
    login = OidcLogin(**arguments | changes)
    try:
        yield login
    finally:
        await login.aclose()


async def begun(login: OidcLogin, *, fresh: bool = False, acr_values: tuple[str, ...] = ()) -> LoginChallenge:
    return await login.begin(fresh=fresh, acr_values=acr_values, locale="zh-Hant")


async def signed_in(login: OidcLogin, provider: FakeProvider, *, fresh: bool = False, **answer: str) -> SignedIn:
    challenge = await begun(login, fresh=fresh)
    return await login.finish(challenge.secret, provider.approve(challenge.url) | answer)


async def refusal(login: OidcLogin, provider: FakeProvider, *, fresh: bool = False, **answer: str) -> str:
    with pytest.raises(LoginRefused) as refused:
        await signed_in(login, provider, fresh=fresh, **answer)
    return str(refused.value)


async def outage(login: OidcLogin, provider: FakeProvider, **answer: str) -> str:
    with pytest.raises(UpstreamUnavailable) as failed:
        await signed_in(login, provider, **answer)
    return failed.value.private
