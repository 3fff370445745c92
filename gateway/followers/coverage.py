"""How much of the log published checkpoints cover: who waits for it, and how old is what they do not cover yet.

Numbers and times only; nothing here reads the log or a file. Used from one event loop.
"""

from __future__ import annotations

import asyncio

from gateway.ports import Clock


class Coverage:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.size = 0  # of the newest published checkpoint
        self._known = 0  # entries that are known to be acknowledged
        self._since = clock.monotonic()  # no acknowledged entry without a checkpoint is older
        self._looked_at = self._since
        self._published = asyncio.Event()

    def acknowledged(self, size: int) -> None:
        """This process has just acknowledged entries: the log has `size`."""
        if size > self._known:
            if self._known <= self.size:
                self._since = self._clock.monotonic()
            self._known = size

    def looked(self, size: int, at: float) -> None:
        """The log had `size` entries when it was looked at, shortly after `at` (monotonic)."""
        if size > self._known:
            if self._known <= self.size:
                # By another process, at some time since the last look.
                self._since = self._looked_at
            self._known = size
        self._looked_at = at

    def published(self, size: int, at: float) -> None:
        """A checkpoint covers the log as it was shortly after `at`; what it does not cover came later."""
        self.size = size
        self._known = max(self._known, size)
        self._since = max(self._since, at)
        self._published.set()
        self._published = asyncio.Event()

    def lag_seconds(self) -> float:
        """The age of the oldest acknowledged entry that no checkpoint covers, or a little more; 0 without one."""
        return max(self._clock.monotonic() - self._since, 0.0) if self._known > self.size else 0.0

    async def wait(self, index: int, *, timeout_seconds: float) -> bool:
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.size <= index:
                    await self._published.wait()
        except TimeoutError:
            return self.size > index
        return True
