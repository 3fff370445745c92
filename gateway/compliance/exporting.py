"""Export: what a query finds, as a file that leaves the house. On record, durable, before the file appears.

The file is built under a hidden name; then `audit.exported` is appended, with its hash; then it gets its own name. A
crash before the record leaves no export, one after it a record of an export that nobody has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.audit.query import Qualifier, Query
from gateway.audit.searchable import Keyed
from gateway.compliance import approval
from gateway.compliance.approval import Approval, Request
from gateway.compliance.opening import Condition, OpenedEntry, matches, open_stored, stored_at
from gateway.compliance.operator import Operator
from gateway.compliance.reading import CatchUp, Log
from gateway.ports import Clock, Draft, ExportedRow, SearchIndex, StoredEntry

CATCH_UP_SECONDS = 60.0
_PAGE = 500

Progress = Callable[[int, int], None]
"""`progress(done, of)`: entries of the range that were searched."""


Agreed = Callable[[], Awaitable[Approval | None]]
"""Gives the second person's approval, used up by this; None where one person may do it alone."""


class ExportRefused(Exception):
    """The export cannot be made as it was asked for. Says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record that matched: its bytes as they are hashed, and as they could be opened."""

    stored: StoredEntry
    opened: OpenedEntry

    @property
    def row(self) -> ExportedRow:
        one = self.opened
        return ExportedRow(index=one.index, leaf_hash=one.leaf_hash, condition=one.condition.value, body=one.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is searched: entries from `first` to below `end`, as the log was when the export began."""

    query: Query
    first: int
    end: int


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was found so far."""

    records: int = 0
    erased: int = 0
    unreadable: int = 0

    def count(self, found: Sequence[Found]) -> None:
        self.records += len(found)
        self.erased += sum(one.opened.condition is Condition.ERASED for one in found)
        self.unreadable += sum(one.opened.condition is Condition.UNREADABLE for one in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """`sha256`, `size_bytes`: of the file. `index`: of the record of this export."""

    span: Span
    tally: Tally
    sha256: str
    size_bytes: int
    index: int


class Format(Protocol):
    """How the records become a file."""

    @property
    def name(self) -> str:
        """For the record of the export."""

    async def prepare(self, span: Span) -> None:
        """Before anything is searched. Raises ExportRefused."""

    async def add(self, found: Sequence[Found]) -> None:
        """Some records, in order of their index."""

    async def close(self, span: Span, tally: Tally) -> None:
        """There are no more. The file is whole after this, but not synced."""


async def _alone() -> Approval | None:
    return None


def asked(operator: Operator, log: str, query: Query, file_format: str, now: float) -> Request:
    """What a second person approves: this query of this log, as this kind of file."""
    return approval.request("export", {"log": log, "query": str(query), "format": file_format}, operator.name, now)


class Exporting:
    def __init__(
        self, *, log: Log, index: SearchIndex, indexer: CatchUp, keyed: Keyed, clock: Clock, operator: Operator
    ) -> None:
        self._log = log
        self._index = index
        self._indexer = indexer
        self._keyed = keyed
        self._clock = clock
        self._operator = operator

    async def export(
        self,
        query: Query,
        file: Format,
        draft: Draft,
        *,
        agreed: Agreed = _alone,
        progress: Progress = lambda _done, _of: None,
        catch_up_seconds: float = CATCH_UP_SECONDS,
    ) -> Exported:
        """`agreed` is asked last, so that what fails before uses no approval up. Nothing appears when it raises.

        Raises ExportRefused, AuditUnavailable, OSError of the disk, and what `agreed` raises.
        """
        span = await self._span(query, catch_up_seconds)
        await file.prepare(span)
        tally = Tally()
        async for found in self._pages(span):
            tally.count(found)
            await file.add(found)
            progress(found[-1].stored.index + 1 - span.first, span.end - span.first)
        await file.close(span, tally)
        progress(span.end - span.first, span.end - span.first)
        sha256, size_bytes = await asyncio.to_thread(draft.finish)
        approved = await agreed()
        facts: dict[str, str | int] = {
            "query": str(query),
            "format": file.name,
            "first": span.first,
            "end": span.end,
            "sha256": sha256,
            "bytes": size_bytes,
            **(approved.facts if approved else {}),
        }
        record = self._operator.record(
            self._clock.now(),
            "audit.exported",
            subject=query.only(Qualifier.SUBJECT),
            count=tally.records,
            facts=facts,
        )
        (position,) = await self._log.append([record])
        await asyncio.to_thread(draft.publish)
        return Exported(span=span, tally=tally, sha256=sha256, size_bytes=size_bytes, index=position.index)

    async def _span(self, query: Query, seconds: float) -> Span:
        size = (await self._log.head()).size
        indexed = await self._indexer.catch_up(size, seconds=seconds)
        end = size if query.last is None else min(query.last + 1, size)
        first = min(query.first or 0, end)
        if indexed < end:
            # A search may show what it has and say so; an export without the rest would pass for the whole.
            raise ExportRefused(
                f"the search index covers {indexed} of {end} entries: try again when it has caught up, "
                f"or end the query with index:..{indexed - 1}"
            )
        return Span(query=query, first=first, end=end)

    async def _pages(self, span: Span) -> AsyncIterator[Sequence[Found]]:
        """Bounded memory: a page of records at a time, none of them empty."""
        if span.first >= span.end:
            return
        within = replace(span.query, last=span.end - 1)
        after: int | None = None
        while indices := await self._index.find(within, after=after, newest_first=False, limit=_PAGE):
            after = indices[-1]
            if found := await self._found(span.query, indices):
                yield found

    async def _found(self, query: Query, indices: Sequence[int]) -> Sequence[Found]:
        """Looked at anew in the entries themselves: what the index found may have been erased or pruned since."""
        stored = await stored_at(self._log, indices)
        opened = await open_stored(self._log, stored)
        return [
            Found(stored=one, opened=shown)
            for one, shown in zip(stored, opened, strict=True)
            if matches(query, shown, self._keyed)
        ]
