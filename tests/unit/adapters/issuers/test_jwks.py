"""Keys from files and from real HTTPS servers that are right, wrong, slow, gone, or somebody else."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.issuers.jwks import DOCUMENT_BYTES_MAX, Discovery, FetchFailed, IssuerKeys, KeyFile, metadata_url
from gateway.errors import UpstreamUnavailable
from tests.fakes import FakeClock
from tests.fakes_oauth import FakeFetch, ec_key, jwks

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
JWKS = jwks(ec_key())


@dataclass
class AuthorizationServer:
    """An HTTPS server at localhost whose metadata and keys a test may replace."""

    base: str = ""
    metadata: dict[str, object] = field(default_factory=dict)
    keys: Handler | None = None
    seen: list[str] = field(default_factory=list)
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def issuer(self) -> str:
        return self.base + "/tenant"

    def client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.path)
        if request.path == "/.well-known/oauth-authorization-server/tenant":
            metadata = {"issuer": self.issuer, "jwks_uri": self.base + "/keys"} | self.metadata
            return web.json_response(body=orjson.dumps(metadata))
        if request.path == "/keys":
            return await self.keys(request) if self.keys else web.Response(body=JWKS)
        return web.Response(status=404)


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    authorization_server = AuthorizationServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authorization_server.ca.issue_cert("localhost").configure_cert(context)
    app = web.Application()
    app.router.add_get("/{path:.*}", authorization_server.serve)
    test_server = TestServer(app, host="localhost", scheme="https")
    await test_server.start_server(ssl=context)
    authorization_server.base = f"https://localhost:{test_server.port}"
    yield authorization_server
    await test_server.close()


async def fetched(server: AuthorizationServer, *, context: ssl.SSLContext | None = None, seconds: float = 5) -> bytes:
    discovery = Discovery(server.issuer, ssl_context=context or server.client_context(), timeout_seconds=seconds)
    try:
        return await discovery.fetch()
    finally:
        await discovery.aclose()


async def failure(server: AuthorizationServer, *, context: ssl.SSLContext | None = None, seconds: float = 5) -> str:
    with pytest.raises(FetchFailed) as failed:
        await fetched(server, context=context, seconds=seconds)
    return str(failed.value)


async def test_metadata_leads_to_the_keys(server: AuthorizationServer) -> None:
    assert await fetched(server) == JWKS
    assert server.seen == ["/.well-known/oauth-authorization-server/tenant", "/keys"]


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://as.example", "https://as.example/.well-known/oauth-authorization-server"),
        ("https://as.example/", "https://as.example/.well-known/oauth-authorization-server"),
        ("https://as.example:8444/a/b", "https://as.example:8444/.well-known/oauth-authorization-server/a/b"),
        ("https://as.example/a/", "https://as.example/.well-known/oauth-authorization-server/a"),
    ],
)
def test_the_well_known_path_is_inserted_before_the_issuers(issuer: str, url: str) -> None:
    assert str(metadata_url(issuer)) == url


@pytest.mark.parametrize(
    "issuer",
    ["http://as.example", "https://", "https://u@as.example", "https://as.example?a=b", "https://as.example#a"],
)
def test_what_is_no_issuer_identifier_is_refused(issuer: str) -> None:
    with pytest.raises(ValueError, match="https URL"):
        metadata_url(issuer)


@pytest.mark.parametrize("suffix", ["", "/tenant/", "/Tenant", "/other"])
async def test_metadata_of_another_issuer_is_refused(server: AuthorizationServer, suffix: str) -> None:
    server.metadata = {"issuer": server.base + suffix}
    assert await failure(server) == "metadata_issuer"
    assert "/keys" not in server.seen


@pytest.mark.parametrize(
    "uri",
    [None, 7, "", "/keys", "http://localhost/keys", "file:///etc/passwd", "https://", "https://u:p@h/k", "h" * 3000],
)
async def test_keys_elsewhere_than_on_https_are_refused(server: AuthorizationServer, uri: object) -> None:
    server.metadata = {"jwks_uri": uri}
    assert await failure(server) == "jwks_uri"


async def test_a_redirect_is_not_followed(server: AuthorizationServer) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/other-keys")

    server.keys = elsewhere
    assert await failure(server) == "status"
    assert "/other-keys" not in server.seen


async def test_an_error_status_is_a_failure(server: AuthorizationServer) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, body=JWKS)

    server.keys = broken
    assert await failure(server) == "status"


async def test_an_oversized_document_is_not_read_to_its_end(server: AuthorizationServer) -> None:
    async def huge(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()  # chunked: no Content-Length gives it away
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                await response.write(b" " * 65_536)
        return response

    server.keys = huge
    assert await failure(server) == "too_large"


async def test_a_server_that_never_answers_is_given_up(server: AuthorizationServer) -> None:
    released = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response(body=JWKS)

    server.keys = slow
    assert await failure(server, seconds=0.2) == "timeout"
    released.set()


async def test_a_connection_that_breaks_is_a_failure(server: AuthorizationServer) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    server.keys = cut
    assert await failure(server) == "unreachable"


async def test_a_server_of_an_unknown_authority_is_not_asked(server: AuthorizationServer) -> None:
    assert await failure(server, context=ssl.create_default_context()) == "unreachable"
    assert server.seen == []


async def test_proxies_of_the_environment_are_not_used(
    server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert await fetched(server) == JWKS


async def test_metadata_that_is_not_json_is_a_failure(server: AuthorizationServer) -> None:
    server.metadata = {"note": 1.5}  # stricter than JSON: no fractions
    assert await failure(server) == "metadata_not_json"


async def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(JWKS)
    source = KeyFile(file)
    assert await source.fetch() == JWKS
    other = jwks(ec_key("other"))
    file.write_bytes(other)
    assert await source.fetch() == other
    await source.aclose()


async def test_a_file_that_is_gone_or_huge_is_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    with pytest.raises(FetchFailed, match="unreadable"):
        await KeyFile(file).fetch()
    file.write_bytes(b" " * (DOCUMENT_BYTES_MAX + 1))
    with pytest.raises(FetchFailed, match="too_large"):
        await KeyFile(file).fetch()


def issuer_keys(fetch: Callable[[], Awaitable[bytes]], clock: FakeClock) -> IssuerKeys:
    return IssuerKeys(fetch, clock=clock, refresh_seconds=300, stale_seconds_max=3600, pause_seconds=10)


class HeldFetch:
    """A fetch that ends when the test says so."""

    def __init__(self, failure: str | None = None) -> None:
        self.failure = failure
        self.calls = 0
        self.started = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self) -> bytes:
        self.calls += 1
        self.started.set()
        await self.release.wait()
        if self.failure is not None:
            raise FetchFailed(self.failure)
        return JWKS


async def test_all_who_wait_are_served_by_one_fetch() -> None:
    fetch = HeldFetch()
    keys = issuer_keys(fetch, FakeClock())
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(keys.usable()) for _ in range(50)]
        await fetch.started.wait()
        fetch.release.set()
    assert fetch.calls == 1
    assert len({id(task.result()) for task in waiting}) == 1


async def test_all_who_wait_for_a_failing_fetch_fail_with_it() -> None:
    fetch = HeldFetch("timeout")
    keys = issuer_keys(fetch, FakeClock())
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(_outcome(keys)) for _ in range(20)]
        await fetch.started.wait()
        fetch.release.set()
    assert fetch.calls == 1
    assert {task.result() for task in waiting} == {"issuer_keys_timeout"}


async def _outcome(keys: IssuerKeys) -> str:
    try:
        await keys.usable()
    except UpstreamUnavailable as refused:
        return refused.private
    return "served"


async def test_a_request_that_leaves_lets_the_next_one_fetch() -> None:
    started, calls = asyncio.Event(), 0

    async def first_hangs() -> bytes:
        nonlocal calls
        calls += 1
        if calls == 1:
            started.set()
            await asyncio.Event().wait()
        return JWKS

    keys = issuer_keys(first_hangs, FakeClock())
    async with asyncio.TaskGroup() as tasks:
        leaving = tasks.create_task(keys.usable())
        await started.wait()
        staying = tasks.create_task(keys.usable())
        leaving.cancel()
    assert len(staying.result()) == 1


async def test_old_keys_serve_through_an_outage_until_they_are_stale() -> None:
    clock, fetch = FakeClock(), FakeFetch(JWKS)
    keys = issuer_keys(fetch, clock)
    before = await keys.usable()
    fetch.failure = "unreachable"
    clock.advance(3599)
    await keys.refresh()
    assert await keys.usable() is before
    assert keys.problem == "unreachable"
    clock.advance(10)
    with pytest.raises(UpstreamUnavailable):
        await keys.usable()
    assert keys.current() is None
    fetch.failure = None
    clock.advance(10)
    assert await keys.usable() is before  # the same document
    assert keys.problem is None


async def test_a_document_that_cannot_be_used_keeps_the_old_keys() -> None:
    clock, fetch = FakeClock(), FakeFetch(JWKS)
    keys = issuer_keys(fetch, clock)
    before = await keys.usable()
    fetch.document = jwks(ec_key(), private=True)
    await keys.refresh()
    assert keys.current() is before
    assert keys.problem == "secret_key_published"


async def test_a_failing_refresh_is_tried_again_sooner() -> None:
    calls, again = 0, asyncio.Event()

    async def fails_twice() -> bytes:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise FetchFailed("unreachable")
        again.set()
        return JWKS

    keys = IssuerKeys(fails_twice, clock=FakeClock(), refresh_seconds=3600, stale_seconds_max=7200, pause_seconds=0.001)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(keys.run())
        await again.wait()
        running.cancel()
    assert keys.problem is None
    assert keys.current() is not None
