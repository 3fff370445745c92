"""`make bench BENCH=revocation`: how long a token is still believed after its consent was revoked, on both of two
gateway processes that share a database.

From the acknowledgement of the revocation to the first refusal, with the token asked for without pause on both. The
rounds come at different moments between two looks. The numbers go to the screen and to build/bench/revocation.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

import schemas
from adapters.sandbox.bank import CONSENTS, Bank
from adapters.sandbox.world import World
from gateway.exchange.liveness import LOOK_SECONDS

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.postgresql import PostgreSQL, find_binary
from tests.replicas import Replica, second_gateway

OUT = Path("build/bench/revocation.json")
LIMIT_MS = 1_000.0  # what the contract promises
RATE = {"per_second": 100_000, "burst": 1_000_000}
SETTINGS: dict[str, Any] = {"rates": {"participant": RATE, "browser": RATE}, "log": {"level": "warning"}}


@dataclass(slots=True)
class Case:
    """Milliseconds from the acknowledgement to the refusal, one for each round."""

    name: str
    milliseconds: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        ordered = sorted(self.milliseconds)
        return {
            "case": self.name,
            "rps": None,
            "cpu_us": None,
            "p50_ms": round(statistics.median(ordered), 1),
            "p99_ms": round(ordered[max(0, -(-99 * len(ordered) // 100) - 1)], 1),
            "max_ms": round(ordered[-1], 1),
        }


@contextlib.asynccontextmanager
async def running(folder: Path, settings: dict[str, Any]) -> AsyncIterator[tuple[World, Replica]]:
    world = World(folder, schemas=schemas.load(), port_base=0, block_seconds=0, settings=SETTINGS | settings)
    async with world, second_gateway(world) as replica:
        yield world, replica


async def measured(world: World, replica: Replica, rounds: int, here: Case, there: Case) -> None:
    elsewhere = {**world.description, "listeners": {**world.description["listeners"], "bank": replica.bank}}
    async with (
        Bank(world.folder, world.description, "bank-a") as first,
        Bank(world.folder, elsewhere, "bank-a") as second,
    ):
        for number in range(rounds + 1):
            refused, acknowledged = await one_round(world, first, second)
            if number:  # the first one warms up
                here.milliseconds.append(max(0.0, 1_000 * (refused[0] - acknowledged)))
                there.milliseconds.append(max(0.0, 1_000 * (refused[1] - acknowledged)))


async def one_round(world: World, first: Bank, second: Bank) -> tuple[list[float], float]:
    """When each of the two refused the token for the first time, and when the revocation was acknowledged."""
    machine = await first.token(CONSENTS)
    reply = await first.submit_consent(
        token=machine,
        provider_id="SZCREDIT01DP",
        document_type="CORPORATE_CREDIT_REPORT",
        expire_time=int(world.clock.now()) + 3_600,
    )
    consent = reply.json
    approved = await first.approve(consent)
    if approved.status != 201:
        raise SystemExit(f"not approved: {approved.status}")
    token = await first.token(consent=consent)
    path = f"/cdi/v1/consents/{consent['consentId']}"

    async def until_refused(bank: Bank) -> float:
        while (await bank.call("GET", path, token=token)).status == 200:
            continue
        return time.perf_counter()

    async with asyncio.TaskGroup() as group:
        refusals = [group.create_task(until_refused(bank)) for bank in (first, second)]
        await asyncio.sleep(0.1 + random.random() * LOOK_SECONDS)
        if any(task.done() for task in refusals):
            raise SystemExit("refused before it was revoked")
        revoked = await first.revoke_consent(consent["consentId"], token=machine)
        acknowledged = time.perf_counter()
        if revoked.status != 200:
            raise SystemExit(f"not revoked: {revoked.status}")
    return [task.result() for task in refusals], acknowledged


async def main(rounds: int) -> None:
    console = Console(soft_wrap=True, markup=False, highlight=False)
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        databases: dict[str, dict[str, Any]] = {"sqlite": {}}
        server, initdb = find_binary("postgres"), find_binary("initdb")
        if server is not None and initdb is not None:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(PostgreSQL(server, initdb, place, durable=True)).new_database()
            databases["postgresql"] = {"store": {"url": url}, "audit": {"url": url, "index_url": url}}
        else:
            console.print("PostgreSQL is not here: measured with SQLite alone")
        for database, settings in databases.items():
            here, there = Case(f"{database}, where it was revoked"), Case(f"{database}, the other process")
            async with running(Path(name) / database, settings) as (world, replica):
                await measured(world, replica, rounds, here, there)
            cases += [here, there]
    rows = [case.row() for case in cases]
    report(console, rows, rounds)


def report(console: Console, rows: list[dict[str, Any]], rounds: int) -> None:
    table = Table("case", "p50 ms", "p99 ms", "max ms", title=f"from revocation to refusal, {rounds} rounds")
    for row in rows:
        table.add_row(row["case"], *(f"{row[name]:.1f}" for name in ("p50_ms", "p99_ms", "max_ms")))
    console.print(table)
    ratios = {f"{row['case']}: longest / limit": round(row["max_ms"] / LIMIT_MS, 3) for row in rows}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    document = {"name": "revocation", "rounds": rounds, "limit_ms": LIMIT_MS, "rows": rows, "ratios": ratios}
    OUT.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    console.print(f"written to {OUT}; the contract allows {LIMIT_MS:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="rounds after the warm-up (default 15)")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args().rounds))
