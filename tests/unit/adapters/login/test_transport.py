"""The bounds of one call. What they mean to a login is in test_oidc_outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp import web

from adapters.login.transport import ANSWER_BYTES_MAX, BoundedTransport, Unreachable, no_cookies, one_call
from tests.fakes import FakeClock
from tests.fakes_login import FakeProvider, running_provider


@pytest.fixture
async def served() -> AsyncIterator[FakeProvider]:
    async with running_provider(FakeClock()) as running:
        yield running


@pytest.mark.parametrize(("size", "accepted"), [(ANSWER_BYTES_MAX, True), (ANSWER_BYTES_MAX + 1, False)])
async def test_an_answer_is_read_up_to_the_limit(served: FakeProvider, size: int, accepted: bool) -> None:
    async def sized(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=b" " * size)

    served.handlers["/sized"] = sized
    async with httpx.AsyncClient(transport=BoundedTransport(served.client_context()), cookies=no_cookies()) as client:
        if accepted:
            async with one_call(5):
                assert len((await client.get(served.base + "/sized")).content) == size
        else:
            with pytest.raises(Unreachable, match="too_large"):
                async with one_call(5):
                    await client.get(served.base + "/sized")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), "timeout"),
        (httpx.ReadTimeout("marked"), "timeout"),
        (httpx.ConnectError("marked"), "unreachable"),
        (httpx.InvalidURL("marked"), "unreachable"),
        (ConnectionResetError("marked"), "unreachable"),
    ],
)
async def test_each_failure_has_its_code(error: Exception, code: str) -> None:
    with pytest.raises(Unreachable) as failed:
        async with one_call(5):
            raise error
    assert str(failed.value) == code


async def test_whoever_gives_up_is_not_told_of_an_outage() -> None:
    started = asyncio.Event()

    async def calling() -> None:
        async with one_call(60):
            started.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(calling())
        await started.wait()
        task.cancel()
    assert task.cancelled()
