"""Copies of the log for security monitoring: one forwarder for each receiver, each with its own durable place.

At least once, in order, and never in the way of an acknowledgement. Each event carries its index in the log: what
arrives twice, or not at all, shows there. Replicas may forward beside each other; then everything arrives twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.audit.event import Event, Gap, event
from gateway.pausing import pause
from gateway.ports import Clock, Cursors, EventTarget, LogReader, StoredEntry

INTERVAL_SECONDS = 1.0
RETRY_FIRST_SECONDS = 1.0
RETRY_SECONDS_MAX = 60.0

_jitter = random.SystemRandom().uniform

Render = Callable[[Event | Gap], bytes]


class Observer(Protocol):
    def lag(self, target: str, entries: int) -> None:
        """How many entries the target lacks."""

    def failed(self, target: str, error: Exception) -> None:
        """A round failed, and will be tried again."""

    def recovered(self, target: str) -> None:
        """The first round after one that failed."""

    def unreadable(self, target: str, index: int) -> None:
        """An entry that is none: it was left out. `audit verify` tells more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Events as bytes, where the target stands once it has them, and what could not be read."""

    events: Sequence[bytes]
    following: int
    unreadable: Sequence[int]


class Forwarder:
    """`name`: of the target. Its place is kept under this name and the log's: a new target, and a log that got a new
    name after a rollback, begin at the first entry."""

    def __init__(
        self,
        name: str,
        *,
        log: LogReader,
        cursors: Cursors,
        target: EventTarget,
        render: Render,
        clock: Clock,
        observer: Observer,
        batch_max: int,
        interval_seconds: float = INTERVAL_SECONDS,
        retry_seconds_max: float = RETRY_SECONDS_MAX,
    ) -> None:
        self._name = name
        self._log = log
        self._cursors = cursors
        self._target = target
        self._render = render
        self._clock = clock
        self._observer = observer
        self._batch_max = batch_max
        self._interval = interval_seconds
        self._retry_max = retry_seconds_max
        self._failures = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the log until `stop`. Returns after the delivery that is under way; the rest waits for the next
        process. Gives the target's connection back."""
        try:
            while not stop.is_set():
                try:
                    behind = await self.round()
                except Exception as error:  # the boundary of the loop: the next round tries again
                    self._failures += 1
                    self._observer.failed(self._name, error)
                    await pause(stop, self._backoff())
                else:
                    if self._failures:
                        self._observer.recovered(self._name)
                    self._failures = 0
                    if not behind:
                        await pause(stop, self._interval)
        finally:
            await self._target.close()

    async def round(self) -> int:
        """One batch; how many entries the target lacks after it. Raises UpstreamUnavailable, or what the log raises."""
        # Read each time: another replica may have gone on, and then this one need not repeat what that one sent.
        head = await self._log.head()
        cursor = place_name(self._name, head.origin)
        place = await self._cursors.cursor(cursor)
        if place < head.size:
            self._observer.lag(self._name, head.size - place)
            batch = await self._batch(place, head.pruned, head.origin)
            for index in batch.unreadable:
                self._observer.unreadable(self._name, index)
            if batch.events:
                await self._target.deliver(batch.events)
            # kill -9 before this line: the whole batch is sent again, by whoever runs next.
            await self._cursors.set_cursor(cursor, batch.following)
            place = batch.following
        behind = max(head.size - place, 0)
        self._observer.lag(self._name, behind)
        return behind

    async def _batch(self, place: int, pruned: int, origin: str) -> _Batch:
        if place < pruned:
            gap = Gap(origin=origin, first=place, below=pruned, noticed=self._clock.now())
            return _Batch(events=[self._render(gap)], following=pruned, unreadable=())
        entries = await self._log.entries(place, self._batch_max)
        if not entries:
            raise ValueError(f"entry {place} is missing from the log")
        return await asyncio.to_thread(self._rendered, entries, origin)

    # --- in a thread ------------------------------------------------------------------------------------------------

    def _rendered(self, entries: Sequence[StoredEntry], origin: str) -> _Batch:
        events: list[bytes] = []
        unreadable: list[int] = []
        for stored in entries:
            if stored.entry is None:
                break  # pruned since the head was read; the next round tells of the gap
            try:
                item = event(stored.entry, origin=origin, index=stored.index, leaf_hash=stored.leaf_hash)
                events.append(self._render(item))
            except (ValueError, KeyError, TypeError, AttributeError):
                # Bytes that are in the log by other hands than ours. They must not keep what follows from arriving.
                unreadable.append(stored.index)
        following = entries[0].index + len(events) + len(unreadable)
        return _Batch(events=events, following=following, unreadable=unreadable)

    def _backoff(self) -> float:
        """Full jitter: gateways that lost the same receiver do not come back to it together."""
        longest = min(RETRY_FIRST_SECONDS * 2 ** min(self._failures - 1, 16), self._retry_max)
        return _jitter(0.0, longest)


def place_name(target: str, origin: str) -> str:
    """Of the cursor that says how far this target has got in the log of this name."""
    return f"forward:{target}:{hashlib.sha256(origin.encode()).hexdigest()[:16]}"
