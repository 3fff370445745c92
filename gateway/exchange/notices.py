"""The notices feed: what happened since, with a cursor, and a bounded wait for the next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from gateway.core.model import Notice
from gateway.exchange.admission import Caller
from gateway.ports import Clock, NoticeStore

LOOK_SECONDS = 1.0  # a notice may come from another process, so the store is looked at


class Notices:
    def __init__(self, *, store: NoticeStore, clock: Clock, look_seconds: float = LOOK_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._look = look_seconds
        self._ending = asyncio.Event()

    async def since(self, caller: Caller, *, after: int, limit: int, wait_seconds: float) -> Sequence[Notice]:
        """Own notices behind the cursor `after`; when there are none, the first ones within `wait_seconds`."""
        until = self._clock.monotonic() + wait_seconds
        while True:
            found = await self._store.notices(caller.participant.participant_id, after=after, limit=limit)
            left = until - self._clock.monotonic()
            if found or left <= 0 or self._ending.is_set():
                return found
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._look)):
                    await self._ending.wait()

    def now(self) -> float:
        """When they are read, for what is signed of them."""
        return self._clock.now()

    def end(self) -> None:
        """The process ends: who waits, or comes to wait, gets what there is instead of a cut connection."""
        self._ending.set()
