"""A provider that is broken, slow, another, or does not know its client: an outage, no word about a person."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from adapters.login.oidc import OidcLogin
from tests.fakes import FakeClock
from tests.fakes_login import CONFIGURATION, FakeProvider, login_at, outage, running_provider


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def provider(clock: FakeClock) -> AsyncIterator[FakeProvider]:
    async with running_provider(clock) as running:
        yield running


@pytest.fixture
async def login(provider: FakeProvider) -> AsyncIterator[OidcLogin]:
    async with login_at(provider) as running:
        yield running


async def huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(64):
            await response.write(b" " * 65_536)
    return response


async def redirected(_request: web.Request) -> web.StreamResponse:
    response = web.json_response({"id_token": "a.b.c"}, status=302)
    response.headers["Location"] = "/elsewhere"
    return response


async def compressed(_request: web.Request) -> web.StreamResponse:
    response = web.Response(body=b"{}")
    response.headers["Content-Encoding"] = "gzip"
    return response


async def broken(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"id_token": "a.b.c"}, status=500)


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize("path", [CONFIGURATION, "/keys", "/token"])
@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (huge, "login_too_large"),
        (redirected, "login_status"),
        (compressed, "login_encoding"),
        (broken, "login_status"),
        (cut, "login_unreachable"),
    ],
)
async def test_what_the_provider_cannot_do_is_an_outage(
    login: OidcLogin, provider: FakeProvider, path: str, handler: Any, problem: str
) -> None:
    provider.handlers[path] = handler
    assert await outage(login, provider) == problem
    assert "/elsewhere" not in provider.seen


@pytest.mark.parametrize("path", [CONFIGURATION, "/keys", "/token"])
async def test_a_provider_that_never_ends_its_answer_is_given_up(provider: FakeProvider, path: str) -> None:
    released = asyncio.Event()

    async def trickling(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await released.wait()
        return response

    provider.handlers[path] = trickling
    async with login_at(provider, timeout_seconds=0.3) as login:
        assert await outage(login, provider) == "login_timeout"
    released.set()


async def test_a_provider_of_an_unknown_authority_is_not_asked(provider: FakeProvider) -> None:
    async with login_at(provider, context=ssl.create_default_context()) as login:
        assert await outage(login, provider) == "login_unreachable"
    assert provider.seen == []


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b"<html>", "login_answer_not_json"),
        (200, b"[]", "login_answer_not_json"),
        (200, b'{"id_token":"a.b.c","id_token":"d.e.f"}', "login_answer_not_json"),
        (200, b'{"id_token":"a.b.c","expires_in":"soon"}', "login_answer"),
        (400, b'{"error":"unauthorized_client"}', "login_client_refused"),
        (400, b'{"error":7}', "login_status"),
        (400, b"<html>", "login_answer_not_json"),
        (401, b'{"error":"invalid_client"}', "login_client_refused"),
        (429, b'{"error":"slow_down"}', "login_status"),
        (204, b"", "login_status"),
    ],
)
async def test_an_answer_that_is_not_about_the_person_is_an_outage(
    login: OidcLogin, provider: FakeProvider, status: int, body: bytes, problem: str
) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    provider.handlers["/token"] = answer
    assert await outage(login, provider) == problem


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
async def test_a_busy_provider_is_an_outage(login: OidcLogin, provider: FakeProvider, error: str) -> None:
    assert await outage(login, provider, error=error) == "login_provider_busy"
