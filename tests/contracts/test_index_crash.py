"""Processes that fill one index are killed at random moments: at the end each entry is in it once, as in the log."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import UTC
from functools import partial
from pathlib import Path

from adapters.sql.audit import SqlAuditLog, open_audit_log
from adapters.sql.search_index import open_search_index
from gateway.audit.query import parse
from gateway.compliance.operator import Operator
from gateway.core.pseudonym import pseudonym
from tests import samples
from tests.contracts.index_crash_child import BATCH
from tests.fakes import FakeSealer

ROOT = Path(__file__).parents[2]
ROUNDS = 3
OUTCOMES = ("MATCH", "MISMATCH", "REVOKED")
SUBJECTS = [digit * 64 for digit in "0123456789"]
ENTRIES = 1_200


async def kill_after(url: str, batches: int) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contracts.index_crash_child", url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    for _ in range(batches):
        await child.stdout.readline()
    if child.returncode is None:
        child.kill()
    await child.wait()


async def finish(url: str) -> int | None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contracts.index_crash_child", url, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    return await child.wait()


async def write(log: SqlAuditLog) -> None:
    """Every third entry is about a subject that is erased in the middle."""
    operator = Operator(name="alice", participant="HKGATEWAY01")
    for half in range(2):
        await log.append(
            [
                samples.record(outcome=OUTCOMES[number % 3], consent=samples.consent(subject=SUBJECTS[number % 10]))
                for number in range(ENTRIES // 2)
            ]
        )
        if half == 0:
            assert await log.erase(SUBJECTS[3], operator.record(1.0, "audit.erased", subject=SUBJECTS[3]))


async def test_kills_of_two_that_fill_it_lose_and_double_nothing(database: str) -> None:
    chance = random.Random(11)
    opening = open_audit_log(
        database, name="crash/audit", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=9_999, batch_max=64
    )
    async with opening as log:
        await write(log)
        size = (await log.head()).size
    positions = [0]
    async with open_search_index(database) as index:
        for _ in range(ROUNDS):
            await asyncio.gather(*(kill_after(database, chance.randrange(1, 15)) for _ in range(2)))
            positions.append((await index.position()).next)
        assert positions == sorted(positions)
        assert all(position % BATCH == 0 for position in positions)
        assert await finish(database) == 0
        assert (await index.position()).next == size

        async def found(text: str) -> list[int]:
            query = parse(text, now=0.0, zone=UTC, keyed=partial(pseudonym, b"k" * 32))
            return list(await index.find(query, after=None, newest_first=False, limit=size + 1))

        erased_at = ENTRIES // 2
        numbers = [*range(ENTRIES // 2), None, *range(ENTRIES // 2)]  # None: the erasure's own entry
        assert await found("") == list(range(size))
        for place, outcome in enumerate(OUTCOMES):
            expected = [at for at, number in enumerate(numbers) if number is not None and number % 3 == place]
            assert await found(f"outcome:{outcome}") == expected
        assert await found(f"digest:sm3:{'d' * 64}") == [
            at for at, number in enumerate(numbers) if number is not None and (number % 10 != 3 or at > erased_at)
        ]
