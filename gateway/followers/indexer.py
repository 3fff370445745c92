"""Filling the search index from the log, in batches, beside the commit path. Any process may do it, also several.

The log is the truth: an index that is ahead of it, or of another one, is made anew. A crash at any point leaves the
index at its last batch, and whoever runs next goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import orjson

from gateway.audit.privacy import Open, unsealed
from gateway.audit.searchable import Keyed, Searchable, searchable
from gateway.pausing import pause
from gateway.ports import Clock, Erasure, Head, Indexed, LogReader, OpeningKeys, SearchIndex, StoredEntry

BATCH_MAX = 2_000
INTERVAL_SECONDS = 0.5
_ERASED = "audit.erased"


class Observer(Protocol):
    def lag(self, entries: int, seconds: float) -> None:
        """How many entries the index lacks, and how old the oldest of them is."""

    def unreadable(self, index: int) -> None:
        """An entry that could not be opened: it is found by its public fields at most. `audit verify` tells more."""

    def started_over(self) -> None:
        """The index was not of this log, and is made anew."""

    def failed(self, error: Exception) -> None:
        """A round failed; the next one tries again."""


@dataclass(slots=True, kw_only=True)
class _Batch:
    """Parsed entries, and what becomes of them."""

    bodies: list[tuple[int, dict[str, Any]]]
    rows: list[Searchable]
    erasures: list[Erasure]
    unreadable: list[int]

    def subjects(self) -> list[str]:
        return [body["subject"] for _, body in self.bodies if "sealed" in body and isinstance(body.get("subject"), str)]


class Indexer:
    def __init__(
        self,
        *,
        log: LogReader,
        keys: OpeningKeys,
        index: SearchIndex,
        keyed: Keyed,
        clock: Clock,
        observer: Observer,
        batch_max: int = BATCH_MAX,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._log = log
        self._keys = keys
        self._index = index
        self._keyed = keyed
        self._clock = clock
        self._observer = observer
        self._batch_max = batch_max
        self._interval = interval_seconds
        self._known: Indexed | None = None  # a position that was compared with the log

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the log until `stop`. Returns after the batch that is under way."""
        while not stop.is_set():
            try:
                behind = await self.round()
            except Exception as error:  # the boundary of the loop: the next round tries again
                self._observer.failed(error)
                behind = 0
            if not behind:
                await pause(stop, self._interval)

    async def catch_up(self, size: int, *, seconds: float) -> int:
        """Index the log up to `size` entries, or until the time is up. How many entries the index covers then."""
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until and await self.round():
            if self._known is not None and self._known.next >= size:
                break
        return (await self._index.position()).next

    async def round(self) -> int:
        """One batch; how many entries the index lacks after it."""
        head = await self._log.head()
        done = await self._aligned(head)
        if done.pruned < head.pruned:
            await self._index.prune(head.pruned)
            done = replace(done, pruned=head.pruned)
        if done.next >= head.size:
            self._known = done
            self._observer.lag(0, 0.0)
            return 0
        entries = await self._log.entries(done.next, self._batch_max)
        if not entries:
            raise ValueError(f"entry {done.next} is missing from the log")
        batch = await asyncio.to_thread(_parsed, entries)
        open_ = await self._keys.open_for(sorted(set(batch.subjects())))
        await asyncio.to_thread(_fill, batch, open_, self._keyed)
        to = replace(done, next=entries[-1].index + 1, last_leaf=entries[-1].leaf_hash)
        if not await self._index.add(batch.rows, erasures=batch.erasures, done=done, to=to):
            self._known = None  # another process was there first: go on from where it is now
            return head.size - done.next
        self._known = to
        for index in batch.unreadable:
            self._observer.unreadable(index)
        lag = max(head.size - to.next, 0)
        self._observer.lag(lag, self._age(batch) if lag else 0.0)
        return lag

    async def _aligned(self, head: Head) -> Indexed:
        """The position, once it is one in this log."""
        done = await self._index.position()
        if done == self._known and done.origin == head.origin and done.next <= head.size:
            return done
        if done.origin == head.origin and done.next <= head.size and await self._is_ours(done):
            return done
        if done.origin:
            self._observer.started_over()
        await self._index.start_over(head.origin, instead_of=done)
        return await self._index.position()

    async def _is_ours(self, done: Indexed) -> bool:
        if done.next == 0:
            return True
        [last] = await self._log.entries(done.next - 1, 1)
        return last.leaf_hash == done.last_leaf

    def _age(self, batch: _Batch) -> float:
        return max(self._clock.now() - batch.rows[-1].time / 1_000_000, 0.0) if batch.rows else 0.0


# --- in a thread --------------------------------------------------------------------------------------------------


def _parsed(entries: Sequence[StoredEntry]) -> _Batch:
    batch = _Batch(bodies=[], rows=[], erasures=[], unreadable=[])
    for stored in entries:
        if stored.entry is None:  # pruned
            continue
        try:
            body = orjson.loads(stored.entry)
        except ValueError:
            body = None
        if isinstance(body, dict):
            batch.bodies.append((stored.index, body))
        else:
            batch.unreadable.append(stored.index)
    return batch


def _fill(batch: _Batch, open_: Open, keyed: Keyed) -> None:
    keyed = cache(keyed)  # question and answer about one document stand near each other
    for index, body in batch.bodies:
        if body.get("type") == _ERASED and isinstance(body.get("subject"), str):
            batch.erasures.append(Erasure(subject=body["subject"], index=index))
        try:
            unsealed(body, open_)
        except ValueError:  # not the entry's ciphertext: its public fields can be searched all the same
            batch.unreadable.append(index)
        try:
            batch.rows.append(searchable(index, body, keyed))
        except ValueError:
            if index not in batch.unreadable:
                batch.unreadable.append(index)
