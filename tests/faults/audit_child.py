"""Writes and publishes an audit log until it is killed, or until the log refuses: exit code 3 then.

It says every acknowledgement, `entry ID INDEX`, and never before. By `writev`, so that a fault that is injected into
`write` meets the log's files and not these lines.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

from adapters.sql.audit import open_audit_log
from gateway.errors import AuditUnavailable
from tests import audit_parts, samples
from tests.fakes import FakeSealer

CALLERS = 12
ORIGIN = "faults.example/audit"
HOUR_SECONDS = 3_600
REFUSED = 3


def say(*words: object) -> None:
    os.writev(1, [(" ".join(map(str, words)) + "\n").encode()])


async def main(url: str, folder: Path, *, clock_jumps: bool) -> int:
    numbers = itertools.count()
    refused = asyncio.Event()
    run = os.urandom(4).hex()

    async with (
        open_audit_log(
            url, name=ORIGIN, origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=1_000, batch_max=64
        ) as log,
        audit_parts.publishing(log, folder, origin=ORIGIN, interval_seconds=0.05),
    ):

        async def caller() -> None:
            while not refused.is_set():
                number = next(numbers)
                # Every hundredth record is of an hour ago, as after a clock that was set back.
                time = samples.NOW + number - (HOUR_SECONDS if clock_jumps and number % 100 == 99 else 0)
                record = samples.record(record_id=f"{run}-{number:09d}", time=float(time))
                try:
                    [position] = await log.append([record])
                except AuditUnavailable:
                    refused.set()
                    return
                say("entry", record.record_id, position.index)

        async with asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(caller())
    return REFUSED


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], Path(sys.argv[2]), clock_jumps="--clock-jumps" in sys.argv)))
