"""Each listener serves its own routes, to whom it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.app.flows import build_flows
from gateway.app.listeners import Listeners, build_listeners
from gateway.app.parts import open_parts
from tests.fakes_app import Events, Place, log_to, make_place


@asynccontextmanager
async def listening(place: Place, *, serving: bool = True) -> AsyncIterator[Listeners]:
    async with (
        open_parts(*place.loaded(), log_to(Events())) as parts,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as tasks,
    ):
        flows = build_flows(parts, tasks, stack)
        listeners = build_listeners(parts, flows, started=lambda: True, serving=lambda: serving)
        for listener in listeners.all:
            await listener.start(tasks)
        yield listeners
        await asyncio.gather(*(listener.drain(1) for listener in listeners.all))


async def test_a_bank_meets_its_routes_and_not_the_partners(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with listening(place) as listeners, aiohttp.ClientSession() as session:
        base = f"https://localhost:{listeners.bank.port}"
        async with session.get(f"{base}/cdi/v1/consents", ssl=place.client("bank-a")) as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (401, "TOKEN_MISSING")
            assert "RateLimit" in answer.headers
        async with session.post(f"{base}/dvp/v1/messages", ssl=place.client("bank-a")) as answer:
            assert answer.status == 404


async def test_the_partner_listener_does_not_know_the_banks_authority(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with listening(place) as listeners, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(
                f"https://localhost:{listeners.partner.port}/dvp/v1/messages", ssl=place.client("bank-a")
            )


async def test_the_probes_say_what_they_are_told(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    for serving, status in ((True, 200), (False, 503)):
        async with listening(place, serving=serving) as listeners, aiohttp.ClientSession() as session:
            base = f"http://127.0.0.1:{listeners.ops.port}"
            statuses = {}
            for probe in ("livez", "readyz", "startupz", "metrics"):
                async with session.get(f"{base}/{probe}") as answer:
                    statuses[probe] = answer.status
            assert statuses == {"livez": 200, "readyz": status, "startupz": 200, "metrics": 200}
