"""Search, show, tail: reading the log as an act of its own. Each one is on record, durable, before anything is shown.

What is shown comes from the entries; the index only says where to look. Used by the commands, and by a console.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.audit.query import Qualifier, Query, Term
from gateway.audit.searchable import Keyed
from gateway.compliance.opening import OpenedEntry, ReadableLog, matches, open_entries, open_stored
from gateway.compliance.operator import Operator
from gateway.pausing import pause
from gateway.ports import AuditLog, Clock, SearchIndex

CATCH_UP_SECONDS = 10.0
FOLLOW_SECONDS = 0.5
_PAGE = 500


class Log(AuditLog, ReadableLog, Protocol):
    """The log as a reader needs it: to read from, and to be recorded in."""


class CatchUp(Protocol):
    async def catch_up(self, size: int, *, seconds: float) -> int:
        """Index the log up to `size` entries or until the time is up; how many the index covers then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`following`: what `after` is for the next page; None when there is none. Entries from `indexed` to below `size`
    were committed before the search and not looked at, since the index lags: none, if all is well."""

    entries: Sequence[OpenedEntry]
    following: int | None
    indexed: int
    size: int


class Reading:
    def __init__(
        self,
        *,
        log: Log,
        index: SearchIndex,
        indexer: CatchUp,
        keyed: Keyed,
        clock: Clock,
        operator: Operator,
        catch_up_seconds: float = CATCH_UP_SECONDS,
        follow_seconds: float = FOLLOW_SECONDS,
    ) -> None:
        self._log = log
        self._index = index
        self._indexer = indexer
        self._keyed = keyed
        self._clock = clock
        self._operator = operator
        self._catch_up_seconds = catch_up_seconds
        self._follow_seconds = follow_seconds

    async def search(self, query: Query, *, limit: int, after: int | None = None, newest_first: bool = True) -> Page:
        """One page, ordered by index, behind `after`. Raises AuditUnavailable, and nothing is shown then."""
        size, indexed = await self._caught_up()
        found = await self._index.find(query, after=after, newest_first=newest_first, limit=limit + 1)
        entries = self._matching(query, await open_entries(self._log, found[:limit]))
        facts: dict[str, str | int] = {"limit": limit, "order": "newest" if newest_first else "oldest"}
        if after is not None:
            facts["after"] = after
        if indexed < size:
            facts["indexed"] = indexed
        await self._record("search", query, len(entries), facts)
        following = found[limit - 1] if len(found) > limit else None
        return Page(entries=entries, following=following, indexed=indexed, size=size)

    async def show(self, index: int) -> OpenedEntry | None:
        """The entry; None when the log has none there. Raises AuditUnavailable."""
        entries = await open_entries(self._log, [index])
        subject = (entries[0].body or {}).get("subject") if entries else None
        record = self._operator.record(
            self._clock.now(), "audit.read", subject=subject, count=len(entries), facts={"act": "show", "index": index}
        )
        await self._log.append([record])
        return entries[0] if entries else None

    async def show_record(self, record_id: str) -> Sequence[OpenedEntry]:
        """The entries with this id; two when a crash had the record appended again. Raises AuditUnavailable."""
        query = Query(terms=(Term(qualifier=Qualifier.RECORD, values=(record_id,)),))
        await self._caught_up()
        found = await self._index.find(query, after=None, newest_first=False, limit=_PAGE)
        entries = self._matching(query, await open_entries(self._log, found))
        await self._record("show", query, len(entries), {})
        return entries

    async def tail(self, query: Query, *, lines: int, follow: asyncio.Event | None) -> AsyncIterator[OpenedEntry]:
        """The newest entries that match, oldest first; with `follow`, then what comes, until it is set.

        The record at its beginning covers all that follows; a second one at the end says how far it went. Raises
        AuditUnavailable.
        """
        size, indexed = await self._caught_up()
        newest = await self._newest(query, lines, indexed, size) if lines else []
        await self._record("tail", query, len(newest), {"lines": lines, "follow": int(follow is not None)})
        for entry in newest:
            yield entry
        if follow is None:
            return
        count = 0
        while not follow.is_set():
            head = await self._log.head()
            async for entry in self._scan(query, size, head.size):
                count += 1
                yield entry
            size = max(size, head.size)
            await pause(follow, self._follow_seconds)
        await self._record("tail-end", query, count, {"size": size})

    async def _newest(self, query: Query, lines: int, indexed: int, size: int) -> Sequence[OpenedEntry]:
        """The last ones below `size`, oldest first. The index may move on meanwhile: it answers for below `indexed`."""
        found: Sequence[int] = ()
        if indexed:
            below = replace(query, last=indexed - 1 if query.last is None else min(query.last, indexed - 1))
            found = await self._index.find(below, after=None, newest_first=True, limit=lines)
        entries = self._matching(query, await open_entries(self._log, found[::-1]))
        return [*entries, *[entry async for entry in self._scan(query, indexed, size)]][-lines:]

    async def _caught_up(self) -> tuple[int, int]:
        """The log's size now, and how much of that the index covers."""
        size = (await self._log.head()).size
        return size, min(await self._indexer.catch_up(size, seconds=self._catch_up_seconds), size)

    async def _scan(self, query: Query, start: int, stop: int) -> AsyncIterator[OpenedEntry]:
        """The matching entries from `start` to below `stop`, without the index."""
        while start < stop:
            stored = await self._log.entries(start, min(_PAGE, stop - start))
            if not stored:
                return
            start = stored[-1].index + 1
            for entry in self._matching(query, await open_stored(self._log, stored)):
                yield entry

    def _matching(self, query: Query, entries: Sequence[OpenedEntry]) -> Sequence[OpenedEntry]:
        return [entry for entry in entries if matches(query, entry, self._keyed)]

    async def _record(self, act: str, query: Query, count: int, facts: dict[str, str | int]) -> None:
        record = self._operator.record(
            self._clock.now(),
            "audit.read",
            subject=query.only(Qualifier.SUBJECT),
            count=count,
            facts={"act": act, "query": str(query), **facts},
        )
        await self._log.append([record])
