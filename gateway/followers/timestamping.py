"""A time-stamp over the published checkpoint at every interval in which the log grew, and how old what has none is.

The token and the checkpoint that it is over are kept in the publication's folder; how a token is had and verified is
the authority's adapter. Only the process that publishes asks for one; the others look at what is there.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Protocol

import orjson

from gateway.audit import note, published
from gateway.audit.tiles import CHECKPOINT
from gateway.errors import GatewayError
from gateway.pausing import pause
from gateway.ports import Clock, LogReader, TileStore, TimestampAuthority

LOOK_SECONDS = 1.0
LIST_SECONDS = 15.0  # the folder of a log of years has many files
RETRY_FIRST_SECONDS = 2.0
RETRY_SECONDS_MAX = 60.0


class Observer(Protocol):
    def stamped(self, size: int) -> None: ...

    def stamp_failed(self, error: Exception, reason: str, *, first: bool) -> None:
        """`first`: the time before, it did not fail like this."""


class Timestamping:
    def __init__(
        self,
        authority: TimestampAuthority,
        store: TileStore,
        reader: LogReader,
        *,
        interval_seconds: float,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._authority, self._store, self._reader = authority, store, reader
        self._interval = interval_seconds
        self._clock, self._observer = clock, observer
        self._stamped: int | None = None  # None: the folder was not looked at yet
        self._listed_at = 0.0  # monotonic, as the next
        self._due_at = 0.0
        self._failures = 0
        self._reason = ""
        self._oldest: tuple[int, float] | None = None  # index and time of the oldest entry without a time-stamp

    def lag_seconds(self) -> float:
        """The age of the oldest entry that no time-stamp covers; 0 when all are covered."""
        return 0.0 if self._oldest is None else max(self._clock.now() - self._oldest[1], 0.0)

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until `stop`."""
        while not stop.is_set():
            await self.attempt()
            await pause(stop, LOOK_SECONDS)

    async def attempt(self) -> None:
        """A round whose trouble is told, and tried again later."""
        try:
            await self.round()
        except GatewayError as error:
            self._failed(error, error.private or error.code)
        except Exception as error:  # the boundary of the loop
            self._failed(error, "internal")

    async def round(self) -> None:
        """One look; a time-stamp when it is time for one. Raises what stands in the way."""
        now = self._clock.monotonic()
        publishes = self._store.locked()
        if self._stamped is None or (not publishes and now - self._listed_at >= LIST_SECONDS):
            sizes = await asyncio.to_thread(self._store.stamped)
            self._stamped, self._listed_at = max(sizes, default=0), now
        await self._look_for_oldest(self._stamped)
        if publishes and now >= self._due_at and self._oldest is not None:
            await self._stamp(self._stamped)

    async def _stamp(self, stamped: int) -> None:
        checkpoint = await asyncio.to_thread(self._store.read, CHECKPOINT)
        if checkpoint is None:
            return
        size = note.checkpoint(note.parse(checkpoint).text).size
        if size <= stamped:
            return
        token = await self._authority.stamp(checkpoint)
        # The checkpoint first, and durable before the rest begins: a token that is there has the bytes that it is over.
        # A crash between leaves a checkpoint without a token, which says nothing and harms nobody.
        await asyncio.to_thread(self._store.write, [(published.stamped(size), checkpoint)])
        await asyncio.to_thread(self._store.write, [(published.token(size), token.response)])
        self._stamped, self._failures, self._reason = size, 0, ""
        self._due_at = self._clock.monotonic() + self._interval
        self._observer.stamped(size)
        await self._look_for_oldest(size)

    async def _look_for_oldest(self, stamped: int) -> None:
        """Its own time, from its bytes: true also after a restart."""
        if self._oldest is not None and self._oldest[0] >= stamped:
            return
        index = max(stamped, (await self._reader.head()).pruned)
        found = await self._reader.entries(index, 1)
        self._oldest = None
        if found and found[0].entry is not None:
            self._oldest = found[0].index, _time(orjson.loads(found[0].entry))

    def _failed(self, error: Exception, reason: str) -> None:
        first = reason != self._reason
        self._reason, self._failures = reason, self._failures + 1
        pause = min(RETRY_FIRST_SECONDS * 2 ** min(self._failures - 1, 10), RETRY_SECONDS_MAX, self._interval)
        self._due_at = self._clock.monotonic() + pause
        self._observer.stamp_failed(error, reason, first=first)


def _time(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["time"]).timestamp()
