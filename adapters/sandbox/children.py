"""The sandbox's processes: started, waited for until ready, stopped in order, and never left behind.

A child ends with its parent, also when the parent is killed (Linux: PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from gateway.ports import Clock

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_POLL_SECONDS = 0.02
_TAIL_BYTES = 4_000
_TAIL_LINES = 6
_SETTINGS_PREFIX = "CDI_GATEWAY__"


class ChildFailed(Exception):
    """A process did not become ready; the text ends with what it wrote last."""


class Child:
    """One process. It writes to `log_file`, behind what earlier runs wrote."""

    def __init__(self, name: str, arguments: Sequence[str], *, log_file: Path, clock: Clock) -> None:
        self.name = name
        self.log_file = log_file
        self._arguments = (sys.executable, *arguments)
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.running else None

    @property
    def exit_code(self) -> int | None:
        """Of the last run; None while it runs. Negative: the signal that ended it."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Raises RuntimeError when it runs already."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The sandbox's own configuration counts, not what the shell has set for another gateway.
                env={name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS_PREFIX)},
                start_new_session=True,  # Ctrl-C is for the sandbox, which stops its children in order
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  one call to prctl
            )

    async def wait_until(self, ready: Callable[[], Awaitable[bool]], *, deadline_seconds: float) -> None:
        """Raises ChildFailed when it ends, or is not ready in time."""
        end = self._clock.monotonic() + deadline_seconds
        while not await ready():
            if not self.running:
                raise ChildFailed(f"{self.name} ended before it was ready: {self.tail()}")
            if self._clock.monotonic() > end:
                raise ChildFailed(f"{self.name} was not ready within {deadline_seconds:.0f} s: {self.tail()}")
            await asyncio.sleep(_POLL_SECONDS)

    async def run_to_end(self, *, deadline_seconds: float) -> None:
        """Start it and wait for its end. Raises ChildFailed when that is not exit code 0, or comes too late."""
        self.start()
        end = self._clock.monotonic() + deadline_seconds
        while self.running and self._clock.monotonic() < end:  # noqa: ASYNC110  another process, no event tells
            await asyncio.sleep(_POLL_SECONDS)
        if self._process is None or self._process.poll() != 0:
            await self.kill()
            raise ChildFailed(f"{self.name} failed: {self.tail()}")

    async def stop(self, *, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL after the grace. Nothing when it does not run."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        end = self._clock.monotonic() + grace_seconds
        while self.running:
            if self._clock.monotonic() > end:
                await self.kill()
            await asyncio.sleep(_POLL_SECONDS)

    async def kill(self) -> None:
        """SIGKILL, as a crash would be. Ended on return."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def tail(self) -> str:
        """What this run wrote last."""
        if not self.log_file.exists():
            return "(nothing written)"
        with self.log_file.open("rb") as log:
            log.seek(max(self._log_start, self.log_file.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-_TAIL_LINES:]) or "(nothing written)"


def _end_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended in between
        os._exit(1)
