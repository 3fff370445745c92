"""Opaque tokens asked of their issuer over real TLS: what is believed, how long, and what is no answer at all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from adapters.issuers.introspection import NEGATIVE_SECONDS_MAX, IntrospectionVerifier
from gateway.errors import TokenInvalid, UpstreamUnavailable
from gateway.oauth.access_token import Fault
from tests.fakes import FakeClock
from tests.fakes_introspection import FakeIssuer, active, asking, running_issuer
from tests.fakes_oauth import ISSUER, NOW, THUMBPRINT


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with running_issuer() as running:
        running.tokens["good"] = active()
        yield running


@pytest.fixture
async def verifier(issuer: FakeIssuer, clock: FakeClock) -> AsyncIterator[IntrospectionVerifier]:
    async with asking(issuer, clock) as running:
        yield running


async def fault(verifier: IntrospectionVerifier, token: str) -> str:
    with pytest.raises(TokenInvalid) as refused:
        await verifier.look_up(token)
    return refused.value.private


async def outage(verifier: IntrospectionVerifier, token: str = "good") -> str:
    with pytest.raises(UpstreamUnavailable) as failed:
        await verifier.look_up(token)
    return failed.value.private


async def test_an_active_token_is_told(verifier: IntrospectionVerifier, issuer: FakeIssuer) -> None:
    access = await verifier.look_up("good")
    assert access is not None
    assert (access.issuer, access.client_id, access.thumbprint) == (ISSUER, "bank-a", THUMBPRINT)
    assert access.scopes == {"cdi:data-requests"}
    assert issuer.forms == [{"token": "good", "token_type_hint": "access_token", "client_id": "the gateway"}]


async def test_the_gateway_shows_its_certificate(verifier: IntrospectionVerifier, issuer: FakeIssuer) -> None:
    await verifier.look_up("good")
    assert (issuer.certified, issuer.authorizations) == ([True], [None])


async def test_the_gateway_shows_its_secret(issuer: FakeIssuer, clock: FakeClock) -> None:
    async with asking(issuer, clock, context=issuer.client_context(), secret="s:e+cret") as verifier:
        assert await verifier.look_up("good") is not None
    expected = base64.b64encode(b"the+gateway:s%3Ae%2Bcret").decode()  # RFC 6749 §2.3.1
    assert (issuer.certified, issuer.authorizations) == ([False], [f"Basic {expected}"])
    assert "client_id" not in issuer.forms[0]


@pytest.mark.parametrize(
    "url", ["http://as.example/i", "https://", "https://u:p@as.example/i", "https://as.example/#i"]
)
async def test_tokens_are_shown_to_https_endpoints_only(issuer: FakeIssuer, clock: FakeClock, url: str) -> None:
    with pytest.raises(ValueError, match="https URL"):
        async with asking(issuer, clock, url=url):
            pass


@pytest.mark.parametrize("body", [{"active": False}, active() | {"active": False}])
async def test_what_is_not_active_is_nothing_else(
    verifier: IntrospectionVerifier, issuer: FakeIssuer, body: dict[str, Any]
) -> None:
    issuer.tokens["good"] = body
    assert await verifier.look_up("good") is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "https://other.example"}, Fault.AUDIENCE),
        ({"iss": "https://other.example"}, Fault.ISSUER),
        ({"exp": NOW}, Fault.EXPIRED),
        ({"exp": None}, Fault.EXPIRY),
        ({"exp": NOW + 3_601}, Fault.LIFETIME),
        ({"nbf": NOW + 11}, Fault.NOT_BEFORE),
        ({"cnf": None}, Fault.CONFIRMATION),
        ({"cnf": {"x5t#S256": "short"}}, Fault.CONFIRMATION),
        ({"client_id": None}, Fault.CLIENT),
        ({"scope": 7}, Fault.SCOPE),
        ({"authorization_details": "all"}, Fault.DETAILS),
    ],
)
async def test_an_active_token_for_something_else_is_refused(
    verifier: IntrospectionVerifier, issuer: FakeIssuer, changes: dict[str, Any], reason: Fault
) -> None:
    issuer.tokens["good"] = active(**changes)
    assert await fault(verifier, "good") == reason.value
    assert await fault(verifier, "good") == reason.value
    assert len(issuer.seen) == 1


@pytest.mark.parametrize("token", ["", "a b", "a\r\nb", "é", "t" * 8_193])
async def test_what_cannot_be_a_token_is_shown_to_nobody(
    verifier: IntrospectionVerifier, issuer: FakeIssuer, token: str
) -> None:
    assert await fault(verifier, token) == Fault.MALFORMED.value
    assert issuer.seen == []


async def test_an_answer_is_believed_for_the_configured_time(
    verifier: IntrospectionVerifier, issuer: FakeIssuer, clock: FakeClock
) -> None:
    first = await verifier.look_up("good")
    issuer.tokens["good"] = {"active": False}
    clock.advance(9)
    assert await verifier.look_up("good") is first
    clock.advance(1)
    assert await verifier.look_up("good") is None


async def test_no_answer_is_believed_beyond_the_tokens_end(
    verifier: IntrospectionVerifier, issuer: FakeIssuer, clock: FakeClock
) -> None:
    issuer.tokens["good"] = active(exp=NOW + 3)
    assert await verifier.look_up("good") is not None
    clock.advance(3)
    assert await fault(verifier, "good") == Fault.EXPIRED.value
    assert len(issuer.seen) == 2


async def test_a_refusal_is_believed_for_seconds_only(issuer: FakeIssuer, clock: FakeClock) -> None:
    async with asking(issuer, clock, cache_seconds=300.0) as verifier:
        assert await verifier.look_up("new") is None
        issuer.tokens["new"] = active()
        clock.advance(NEGATIVE_SECONDS_MAX - 1)
        assert await verifier.look_up("new") is None
        clock.advance(1)
        assert await verifier.look_up("new") is not None


async def test_without_a_cache_each_use_is_asked(issuer: FakeIssuer, clock: FakeClock) -> None:
    async with asking(issuer, clock, cache_seconds=0.0) as verifier:
        assert await verifier.look_up("good") is not None
        issuer.tokens.clear()
        assert await verifier.look_up("good") is None


async def test_the_cache_is_bounded_and_keeps_what_is_used(issuer: FakeIssuer, clock: FakeClock) -> None:
    async with asking(issuer, clock, cache_max=2) as verifier:
        for token in ("good", "a", "good", "b", "good", "a"):
            await verifier.look_up(token)
    assert [form["token"] for form in issuer.forms] == ["good", "a", "b", "a"]


async def test_tokens_are_not_kept_in_clear(verifier: IntrospectionVerifier, issuer: FakeIssuer) -> None:
    issuer.tokens["a-marked-token"] = active()
    await verifier.look_up("a-marked-token")
    assert "a-marked-token" not in repr(vars(verifier))


class Held:
    """An endpoint that answers when the test says so."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.started = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, _request: web.Request) -> web.StreamResponse:
        self.started.set()
        await self.release.wait()
        return web.json_response(active(), status=self.status)


async def test_who_asks_at_the_same_time_shares_one_call(issuer: FakeIssuer, clock: FakeClock) -> None:
    held = issuer.handler = Held()
    async with asking(issuer, clock, cache_seconds=0.0) as verifier:
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(verifier.look_up("good")) for _ in range(50)]
            await held.started.wait()
            held.release.set()
        assert len({id(task.result()) for task in waiting}) == 1
    assert len(issuer.seen) == 1


async def test_who_waits_for_a_failing_call_fails_with_it(verifier: IntrospectionVerifier, issuer: FakeIssuer) -> None:
    held = issuer.handler = Held(status=503)
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(outage(verifier)) for _ in range(20)]
        await held.started.wait()
        held.release.set()
    assert {task.result() for task in waiting} == {"introspection_status"}
    assert len(issuer.seen) == 1


async def test_a_request_that_leaves_lets_the_next_one_ask(verifier: IntrospectionVerifier, issuer: FakeIssuer) -> None:
    held = issuer.handler = Held()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(verifier.look_up("good"))
        await held.started.wait()
        second = tasks.create_task(verifier.look_up("good"))
        third = tasks.create_task(verifier.look_up("good"))
        await asyncio.sleep(0)  # both wait now
        first.cancel()
        held.release.set()
    assert first.cancelled()
    assert second.result() is third.result() is not None
    assert len(issuer.seen) == 2


async def test_one_who_leaves_takes_nobody_along(verifier: IntrospectionVerifier, issuer: FakeIssuer) -> None:
    held = issuer.handler = Held()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(verifier.look_up("good"))
        await held.started.wait()
        second = tasks.create_task(verifier.look_up("good"))
        await asyncio.sleep(0)
        second.cancel()
        held.release.set()
    assert second.cancelled()
    assert first.result() is not None


async def huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(64):
            await response.write(b" " * 65_536)
    return response


async def redirected(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect("/elsewhere")


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def not_json(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"<html>")


async def two_answers(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"active":false,"active":true}')


async def no_object(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"[true]")


async def truthy(_request: web.Request) -> web.StreamResponse:
    return web.json_response(active() | {"active": "true"})


async def silent(_request: web.Request) -> web.StreamResponse:
    return web.json_response({})


async def unauthorized(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "invalid_client", "active": False}, status=401)


async def broken(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"active": False}, status=500)


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (huge, "too_large"),
        (redirected, "status"),
        (cut, "unreachable"),
        (not_json, "not_json"),
        (two_answers, "not_json"),
        (no_object, "answer"),
        (truthy, "answer"),
        (silent, "answer"),
        (unauthorized, "status"),
        (broken, "status"),
    ],
)
async def test_no_answer_is_an_outage_and_is_not_remembered(
    verifier: IntrospectionVerifier, issuer: FakeIssuer, handler: Any, problem: str
) -> None:
    issuer.handler = handler
    assert await outage(verifier) == f"introspection_{problem}"
    assert "/elsewhere" not in issuer.seen
    issuer.handler = None
    assert await verifier.look_up("good") is not None


async def test_an_issuer_that_never_answers_is_given_up(issuer: FakeIssuer, clock: FakeClock) -> None:
    held = issuer.handler = Held()
    async with asking(issuer, clock, timeout_seconds=0.2) as verifier:
        assert await outage(verifier) == "introspection_timeout"
    held.release.set()


async def test_an_issuer_of_an_unknown_authority_is_shown_no_token(issuer: FakeIssuer, clock: FakeClock) -> None:
    async with asking(issuer, clock, context=ssl.create_default_context()) as verifier:
        assert await outage(verifier) == "introspection_unreachable"
    assert issuer.seen == []


async def test_a_remembered_answer_outlives_an_outage(verifier: IntrospectionVerifier, issuer: FakeIssuer) -> None:
    first = await verifier.look_up("good")
    issuer.handler = broken
    assert await verifier.look_up("good") is first


async def test_proxies_of_the_environment_are_not_used(
    verifier: IntrospectionVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert await verifier.look_up("good") is not None
