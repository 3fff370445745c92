"""A process is killed at random moments, again and again: what it acknowledged is there, once, and in its place."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import orjson
import pytest

from adapters.sql.audit import open_audit_log
from adapters.sql.store import open_store
from tests import samples
from tests.fakes import FakeSealer

ROOT = Path(__file__).parents[2]
KILLS = 10


async def kill_after(url: str, lines: int, *, child: str = "tests.contracts.crash_child") -> list[list[str]]:
    """What the child acknowledged until it was killed, about when it had printed `lines` lines."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", child, url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    printed = [await process.stdout.readline() for _ in range(lines)]
    process.kill()
    printed.append(await process.stdout.read())
    await process.wait()
    whole = b"".join(printed).decode().split("\n")[:-1]  # a last line without its end was not said
    return [line.split() for line in whole]


@pytest.mark.parametrize("together", [1, 2], ids=["one", "two at once"])
async def test_what_was_acknowledged_survives_kill_9(database: str, together: int) -> None:
    chance = random.Random(7)
    said: list[list[str]] = []
    for _ in range(KILLS // together):
        for lines in await asyncio.gather(*(kill_after(database, chance.randrange(1, 400)) for _ in range(together))):
            said += lines
    entries = {record_id: int(index) for kind, record_id, index in said if kind == "entry"}
    exchanges = {exchange_id: record_id for kind, exchange_id, record_id in said if kind == "exchange"}
    assert entries
    assert exchanges

    async with open_audit_log(
        database, name="crash/audit", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=9, batch_max=9
    ) as log:  # which checks itself
        stored = [(one.index, orjson.loads(one.entry)["id"]) async for one in log.read()]
    assert [index for index, _ in stored] == list(range(len(stored)))
    ids = [record_id for _, record_id in stored]
    assert len(ids) == len(set(ids))
    assert all(ids[index] == record_id for record_id, index in entries.items())

    async with open_store(database, sealer=FakeSealer(), lease_owner="r", queue_max=9, batch_max=9) as store:
        kept = await store.exchanges(samples.BANK, status=None, after=None, limit=1_000_000)
        waiting = [record.record_id for _, record in await store.waiting(limit=1_000_000)]
    assert len(kept) == len(waiting) == len(set(waiting))  # each exchange with its record, in one transaction
    assert set(exchanges) <= {exchange.exchange_id for exchange in kept}
    assert set(exchanges.values()) <= set(waiting)
