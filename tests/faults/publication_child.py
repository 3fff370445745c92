"""Publishes the same growing log again and again, each time in a process that kills itself one step later.

`publication_child.py FOLDER EVERY`: FOLDER/<n> is what the kill at the n-th call of the file system left, for each n
that EVERY divides. The last line says how many calls an undisturbed run makes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from adapters.tiles.directory import TileDirectory
from tests.fakes_trail import MemoryLog, publisher

SIZES = (1, 200, 300, 811, 1_100)
PRUNED = 256  # before the last one
CALLS = ("open", "write", "fdatasync", "fsync", "rename", "mkdir", "unlink", "rmdir")


def log_of(size: int) -> MemoryLog:
    log = MemoryLog(size)
    if size == SIZES[-1]:
        log.prune(PRUNED)
    return log


async def publish(folder: Path) -> None:
    log = MemoryLog()
    one, watcher = publisher(log, TileDirectory(folder))
    await one.start()
    for size in SIZES:
        log.grow(size - len(log.rows))
        if size == SIZES[-1]:
            log.prune(PRUNED)
        await one.attempt()
    if watcher.errors:
        raise watcher.errors[0]


class Countdown:
    """Counts the calls that change files, and ends the process before the one that is told."""

    def __init__(self, last: int | None) -> None:
        self.count = 0
        self.last = last

    def watch(self) -> None:
        for name in CALLS:
            setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, call: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return counted


def killed_at(folder: Path, last: int) -> bool:
    """Whether the process was killed; else it came to its end."""
    child = os.fork()
    if not child:
        Countdown(last).watch()
        asyncio.run(publish(folder))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def main(folder: Path, every: int) -> None:
    step = every
    while killed_at(folder / str(step), step):
        step += every
    sys.stdout.write(f"{step}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
