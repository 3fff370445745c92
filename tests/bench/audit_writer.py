"""One process that writes an audit log as the gateway does, and says what it took. Started by `audit.py`.

It prints `ready`, reads one command a line from standard input, and answers each with one line of JSON:
`measure N` (N records by single appends), `fill N` (until the log has N records), and an empty line ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from adapters.sql.audit import SqlAuditLog, open_audit_log
from gateway.audit.record import Record
from gateway.core.model import Digest, HashAlgorithm
from gateway.ports import Publication
from tests import audit_parts, samples
from tests.fakes import FakeSealer

ORIGIN = "bench.example/audit"
SUBJECTS = 1_000
FILL_TOGETHER = 512
LOOKED_AT = 100  # every how manyth record is followed until a checkpoint covers it
COVERED_SECONDS_MAX = 60


def records() -> Iterator[Record]:
    """As `verification.decided` is: about 800 bytes as an entry, of one of a thousand data owners."""
    consents = [samples.consent(subject=os.urandom(32).hex()) for _ in range(SUBJECTS)]
    for number in itertools.count():
        digest = Digest(algorithm=HashAlgorithm.SM3, value=f"{number:064x}")
        yield samples.record(
            record_id=f"{int(time.time() * 1000):012x}-{number:023x}",
            time=time.time(),
            consent=consents[number % SUBJECTS],
            document=replace(samples.document(), digests=(digest,)),
        )


class Writer:
    def __init__(self, log: SqlAuditLog, publication: Publication | None, writers: int) -> None:
        self._log = log
        self._publication = publication
        self._writers = writers
        self._records = records()

    async def measure(self, count: int) -> dict[str, float]:
        """Each writer appends one record and waits until it is durable, again and again."""
        todo = list(itertools.islice(self._records, count))
        took: list[float] = []
        covered: list[float] = []

        async def writer() -> None:
            while todo:
                record = todo.pop()
                began = time.perf_counter()
                [position] = await self._log.append([record])
                took.append(time.perf_counter() - began)
                if self._publication is not None and position.index % LOOKED_AT == 0:
                    followed.create_task(follow(self._publication, position.index))

        async def follow(publication: Publication, index: int) -> None:
            began = time.perf_counter()
            if not await publication.wait_covered(index, timeout_seconds=COVERED_SECONDS_MAX):
                raise SystemExit(f"no checkpoint covered entry {index}")
            covered.append(time.perf_counter() - began)

        cpu, began = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as followed:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._writers):
                    tasks.create_task(writer())
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        return {
            "rps": count / seconds,
            "cpu_us": cpu / count * 1e6,
            "p50_ms": _quantile(took, 0.5),
            "p99_ms": _quantile(took, 0.99),
            "covered_p99_ms": _quantile(covered, 0.99),
        }

    async def fill(self, size: int) -> dict[str, float]:
        have = (await self._log.head()).size
        while have < size:
            await asyncio.gather(
                *(self._log.append(list(itertools.islice(self._records, FILL_TOGETHER))) for _ in range(4))
            )
            have += 4 * FILL_TOGETHER
        return {"size": have}


def _quantile(seconds: list[float], share: float) -> float:
    """In milliseconds; 0 of nothing."""
    return sorted(seconds)[int(len(seconds) * share)] * 1e3 if seconds else 0.0


@contextlib.asynccontextmanager
async def writing(options: argparse.Namespace) -> AsyncIterator[Writer]:
    async with contextlib.AsyncExitStack() as stack:
        log = await stack.enter_async_context(
            open_audit_log(
                options.url,
                name=ORIGIN,
                origin=samples.ORIGIN,
                sealer=FakeSealer(),
                queue_max=10_000,
                batch_max=512,
            )
        )
        publication = None
        if options.publish is not None:
            publication = await stack.enter_async_context(audit_parts.publishing(log, options.publish, origin=ORIGIN))
        if options.index is not None:
            await stack.enter_async_context(audit_parts.indexing(log, options.index))
        yield Writer(log, publication, options.writers)


async def main(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    async with writing(options) as writer:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while command := (await loop.run_in_executor(None, sys.stdin.readline)).split():
            work = {"measure": writer.measure, "fill": writer.fill}[command[0]]
            sys.stdout.write(orjson.dumps(await work(int(command[1]))).decode() + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--publish", type=Path, help="publish tiles into this folder meanwhile")
    parser.add_argument("--index", help="URL of the search index, which is filled meanwhile")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args()))
