"""`make bench`: durable records of the audit log beside a raw append + fdatasync loop, in one run, interleaved.

64 writers, records of about 800 bytes, each synced before its acknowledgement, tiles published meanwhile by the same
process. Rates, CPU time of the writing processes and latencies; medians over the rounds go to the screen and to
build/bench/audit.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import stamina
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))

from adapters.sql import migrations
from tests.postgresql import PostgreSQL, find_binary

WRITER = Path(__file__).with_name("audit_writer.py")
OUT = Path("build/bench/audit.json")
RECORD_BYTES = 800
RAW_BATCH = 64
GROWTH_MEASURED = 20_000
CASES = {
    "raw": ("(a)", "raw append + fdatasync, batches of 64"),
    "sqlite": ("(b)", "the log on SQLite, published meanwhile"),
    "sqlite-index": ("(c)", "the same, with the search index filled meanwhile"),
    "postgresql": ("(d)", "the log on PostgreSQL, published meanwhile"),
    "postgresql-2": ("(e)", "one sequence on PostgreSQL from two processes, published by one of them"),
}
COLUMNS = ("rps", "cpu_us", "p50_ms", "p99_ms", "covered_p99_ms")


@dataclass(slots=True)
class Case:
    name: str
    rounds: list[dict[str, float]] = field(default_factory=list)

    def medians(self) -> dict[str, Any]:
        return {"case": self.name} | {
            column: round(statistics.median(one[column] for one in self.rounds), 2) for column in COLUMNS
        }


class Writers:
    """Processes that write one log together."""

    def __init__(self, *commands: list[str]) -> None:
        self._commands = commands
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Writers:
        for command in self._commands:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(WRITER), *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            self._processes.append(process)
            assert await self._line(process) == b"ready"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate() if error else await self._end(process)

    async def measure(self, count: int) -> dict[str, float]:
        """The rates add up, the latencies are the worse, CPU is per record of all."""
        found = await self._all(f"measure {count // len(self._processes)}\n")
        return {
            "rps": sum(one["rps"] for one in found),
            "cpu_us": statistics.mean(one["cpu_us"] for one in found),
            "p50_ms": max(one["p50_ms"] for one in found),
            "p99_ms": max(one["p99_ms"] for one in found),
            "covered_p99_ms": max(one["covered_p99_ms"] for one in found),
        }

    async def fill(self, size: int) -> None:
        await self._all(f"fill {size}\n")

    async def _all(self, command: str) -> list[dict[str, float]]:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(command.encode())
        return [orjson.loads(await self._line(process)) for process in self._processes]

    async def _line(self, process: asyncio.subprocess.Process) -> bytes:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise SystemExit("a writing process ended before its time")
        return line.strip()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        await process.wait()


def raw(file: Path, count: int) -> dict[str, float]:
    """What a durable append costs at least: one write and one fdatasync for every 64 records."""
    batch = os.urandom(RECORD_BYTES) * RAW_BATCH
    took: list[float] = []
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    cpu, began = time.process_time(), time.perf_counter()
    for _ in range(count // RAW_BATCH):
        at = time.perf_counter()
        os.write(descriptor, batch)
        os.fdatasync(descriptor)
        took.append(time.perf_counter() - at)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    os.close(descriptor)
    took.sort()
    return {
        "rps": len(took) * RAW_BATCH / seconds,
        "cpu_us": cpu / len(took) / RAW_BATCH * 1e6,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "covered_p99_ms": 0.0,
    }


def new_log(url: str) -> str:
    migrations.upgrade(url, "audit")
    return url


def new_index(url: str) -> str:
    migrations.upgrade(url, "index")
    return url


@contextlib.asynccontextmanager
async def subjects(folder: Path, postgresql: PostgreSQL | None) -> AsyncIterator[dict[str, Writers]]:
    """All writers, started and waiting: a process that does nothing takes no time from the one that is measured."""
    commands = {
        "sqlite": [[new_log(f"sqlite:///{folder}/plain.db"), "--publish", f"{folder}/plain"]],
        "sqlite-index": [
            [
                new_log(f"sqlite:///{folder}/indexed.db"),
                *("--publish", f"{folder}/indexed", "--index", new_index(f"sqlite:///{folder}/index.db")),
            ]
        ],
    }
    if postgresql is not None:
        one, two = new_log(postgresql.new_database()), new_log(postgresql.new_database())
        commands["postgresql"] = [[one, "--publish", f"{folder}/pg"]]
        # The replicas share the folder; one of them publishes.
        commands["postgresql-2"] = [[two, "--writers", "32", "--publish", f"{folder}/pg-2"]] * 2
    async with contextlib.AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(Writers(*lines)) for name, lines in commands.items()}


async def growth(folder: Path, sizes: list[int], console: Console) -> list[dict[str, float]]:
    """What an append costs when the log has so many entries already."""
    rows = []
    url = new_log(f"sqlite:///{folder}/growing.db")
    async with Writers([url, "--publish", f"{folder}/growing"]) as writers:
        for size in sizes:
            await writers.fill(size)
            await writers.measure(GROWTH_MEASURED)  # what filling left to do (publication, WAL) is done meanwhile
            rows.append({"size": size} | await writers.measure(GROWTH_MEASURED))
            console.print(f"{size:,} entries measured", style="dim")
    return rows


async def main(options: argparse.Namespace) -> None:
    console = Console(soft_wrap=True, markup=False, highlight=False)
    stamina.instrumentation.set_on_retry_hooks([])  # a server that starts is no news
    cases = {"raw": Case("raw")}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.dir)))
        tools = find_binary("postgres"), find_binary("initdb")
        postgresql = None
        if all(tools):
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pg-", dir=options.dir)))
            postgresql = stack.enter_context(PostgreSQL(*tools, place, durable=True))
        else:
            console.print("PostgreSQL is not on this machine: (d) and (e) are left out", style="bold red")
        async with subjects(folder, postgresql) as writers:
            cases |= {name: Case(name) for name in writers}
            for number in range(options.rounds + 1):
                results = {"raw": raw(folder / "raw", options.count)}
                for name, one in writers.items():
                    results[name] = await one.measure(options.count)
                for name, result in results.items():
                    if number:
                        cases[name].rounds.append(result)
                console.print(f"round {number} of {options.rounds}" + ("" if number else " (warm-up)"), style="dim")
        sizes = [10**power for power in range(4, 8) if 10**power <= options.grow]
        curve = await growth(folder, sizes, console) if sizes else []
    report(console, list(cases.values()), curve, options)


def report(console: Console, cases: list[Case], curve: list[dict[str, float]], options: argparse.Namespace) -> None:
    rows = [case.medians() for case in cases]
    rate = {row["case"]: row["rps"] for row in rows}
    ratios = {f"{name}/raw": round(rate[name] / rate["raw"], 2) for name in rate if name != "raw"}
    title = (
        f"durable records of {RECORD_BYTES} bytes, 64 writers, medians of {options.rounds} rounds of {options.count}"
    )
    names = ("case", "rec/s", "CPU us", "rec/CPU s", "p50 ms", "p99 ms", "covered p99 ms", "of (a)")
    table = Table(*names, title=title)
    for row in rows:
        share = ratios.get(f"{row['case']}/raw")
        table.add_row(
            CASES[row["case"]][0],
            f"{row['rps']:,.0f}",
            f"{row['cpu_us']:.1f}",
            f"{1e6 / row['cpu_us']:,.0f}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['covered_p99_ms']:,.0f}",
            f"{share:.0%}" if share else "",
        )
    console.print(table)
    console.print(
        "goals: (b) 10,000/s and per CPU second, p50 3 ms, p99 25 ms, covered 1,500 ms, 40 % of (a); (c), (e) 5,000/s"
    )
    if curve:
        names = ("entries before", "rec/s", "CPU us", "p50 ms", "p99 ms", "covered p99 ms")
        grown = Table(*names, title="as (b), while the log grows")
        for one in curve:
            grown.add_row(f"{one['size']:,}", f"{one['rps']:,.0f}", *(f"{one[key]:.2f}" for key in COLUMNS[1:]))
        console.print(grown)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    document = {"name": "audit", "rounds": options.rounds, "rows": rows, "ratios": ratios, "growth": curve}
    OUT.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    console.print(f"written to {OUT}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=32_000, help="records in a round")
    parser.add_argument(
        "--grow", type=int, default=100_000, help="measure growth up to this many entries; 0: not at all"
    )
    parser.add_argument("--dir", type=Path, help="where to write: the disk that is measured")
    asyncio.run(main(parser.parse_args()))
