"""`ports.SearchIndex` on SQL, in a database of its own: filled in batches beside the log, and disposable.

The position moves in the transaction that brings the rows. What is above it is not there for a reader: so a start
over needs one small transaction, and what is left of the old rows goes in steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, func, select, update

from adapters.sql import engine as engines
from adapters.sql import search_tables as tables
from adapters.sql.commit import GroupCommit
from adapters.sql.prepared import Bulk, Prepared
from adapters.sql.search_query import candidates, matching, period, stored
from gateway.audit.query import INDEX_MAX, Query
from gateway.audit.searchable import Searchable
from gateway.errors import AuditUnavailable
from gateway.ports import Erasure, Indexed

_QUEUE_MAX = 1_000
_BATCH_MAX = 64
_SLICE = 10_000  # rows dropped in one transaction
_FEW = 1_000  # rows that are looked at one by one rather than by another index

_entries, _digests, _position = tables.entries.c, tables.digests.c, tables.position.c

_ENTRIES = Bulk(tables.entries)
_DIGESTS = Bulk(tables.digests)
_READ_POSITION = select(_position.origin, _position.next, _position.last_leaf, _position.pruned).where(
    _position.id == 1
)
_MOVE = Prepared(
    update(tables.position)
    .where(_position.id == 1, _position.origin == bindparam("of_origin"), _position.next == bindparam("of_next"))
    .values(next=bindparam("to_next"), last_leaf=bindparam("to_leaf"))
)

Job = Callable[[Connection], Any]


@asynccontextmanager
async def open_search_index(url: str) -> AsyncIterator[SqlSearchIndex]:
    """The index, for as long as the block lasts. The schema must be current (`migrations.check`)."""
    writing, reading = engines.create(url, erases=True), engines.create(url, reads_only=True)
    checkpointer = engines.Checkpointer(writing)
    index = SqlSearchIndex(writing, reading, erased=checkpointer.cut_off_soon)
    checkpointer.start()
    try:
        yield index
    finally:
        await index.close()
        await asyncio.to_thread(checkpointer.close)


class SqlSearchIndex:
    """See `ports.SearchIndex`; used from one event loop."""

    def __init__(self, writing: Engine, reading: Engine, *, erased: Callable[[], None] = lambda: None) -> None:
        """`erased` is told when bytes were dropped that must not stay in a write-ahead log."""
        self._erased = erased
        self._writes = _jobs(writing, "index-writes")
        self._reads = _jobs(reading, "index-reads")

    async def position(self) -> Indexed:
        found: Indexed = await self._reads.run(_read_position)
        return found

    async def add(self, rows: Sequence[Searchable], *, erasures: Sequence[Erasure], done: Indexed, to: Indexed) -> bool:
        move = {"of_origin": done.origin, "of_next": done.next, "to_next": to.next, "to_leaf": to.last_leaf}

        def job(connection: Connection) -> bool:
            if _MOVE.run(connection, move) != 1:
                return False
            _drop(connection, done.next, to.next)  # what an older index left here
            _ENTRIES.add(connection, [_row(row) for row in rows])
            _DIGESTS.add(connection, [(stored(digest), row.index) for row in rows for digest in row.digests])
            for erasure in erasures:
                _forget(connection, erasure.subject, below=erasure.index)
            return True

        added: bool = await self._writes.run(job)
        if added and erasures:
            self._erased()
        return added

    async def find(self, query: Query, *, after: int | None, newest_first: bool, limit: int) -> Sequence[int]:
        def job(connection: Connection) -> Sequence[int]:
            return _find(connection, query, after=after, newest_first=newest_first, limit=limit)

        found: Sequence[int] = await self._reads.run(job)
        return found

    async def forget_digests(self, subject: str) -> None:
        await self._writes.run(lambda connection: _forget(connection, subject, below=INDEX_MAX))
        self._erased()

    async def prune(self, below: int) -> None:
        while await self._writes.run(lambda connection: _drop_lowest(connection, below)):
            continue
        mark = update(tables.position).where(_position.id == 1, _position.pruned < below).values(pruned=below)
        await self._writes.run(lambda connection: connection.execute(mark).rowcount)
        self._erased()

    async def start_over(self, origin: str, *, instead_of: Indexed) -> None:
        fresh = (
            update(tables.position)
            .where(_position.id == 1, _position.origin == instead_of.origin, _position.next == instead_of.next)
            .values(origin=origin, next=0, last_leaf=b"", pruned=0)
        )
        if await self._writes.run(lambda connection: connection.execute(fresh).rowcount) != 1:
            return
        # Whoever fills it meanwhile replaces what is left: see `add`. A crash here leaves rows that nobody sees.
        while await self._writes.run(_drop_unseen):
            continue

    async def close(self) -> None:
        await self._writes.close()
        await self._reads.close()


def _jobs(engine: Engine, name: str) -> GroupCommit[Job, Any]:
    return GroupCommit(
        engine,
        lambda connection, jobs: [job(connection) for job in jobs],
        name=name,
        queue_max=_QUEUE_MAX,
        batch_max=_BATCH_MAX,
        full=AuditUnavailable,
        unavailable=AuditUnavailable,
    )


def _row(row: Searchable) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    return (
        row.index,
        row.time,
        row.family,
        row.type,
        row.record,
        row.actor,
        row.client,
        row.consent,
        row.request,
        row.outcome,
        row.subject,
    )


# --- in the threads ---------------------------------------------------------------------------------------------------


def _read_position(connection: Connection) -> Indexed:
    origin, next_, last_leaf, pruned = connection.execute(_READ_POSITION).one()
    return Indexed(origin=origin, next=next_, last_leaf=bytes(last_leaf), pruned=pruned)


def _next(connection: Connection) -> int:
    next_: int = connection.execute(select(_position.next).where(_position.id == 1)).scalar_one()
    return next_


def _find(connection: Connection, query: Query, *, after: int | None, newest_first: bool, limit: int) -> Sequence[int]:
    low, high = query.first or 0, _next(connection) - 1
    high = high if query.last is None else min(high, query.last)
    if after is not None:
        low, high = (low, min(high, after - 1)) if newest_first else (max(low, after + 1), high)
    among = _few(connection, query, low, high)
    span = period(query) if among is None else None
    if span is not None:
        first, last = connection.execute(span).one()
        if first is None or last is None:
            return ()
        low, high = max(low, first), min(high, last)
    statement = matching(query, low=low, high=high, among=among, newest_first=newest_first, limit=limit)
    return connection.execute(statement).scalars().all()


def _few(connection: Connection, query: Query, low: int, high: int) -> Sequence[int] | None:
    """Where one of several terms is rare, the rows that have it: no planner knows how rare a value is, and the index of
    a frequent one leads through the whole log."""
    wanted = [term for term in query.terms if not term.negated]
    if len(wanted) + (query.since is not None or query.until is not None) < 2:
        return None
    for term in wanted:
        found = connection.execute(candidates(term, low=low, high=high, limit=_FEW + 1)).scalars().all()
        if len(found) <= _FEW:
            return found
    return None


def _forget(connection: Connection, subject: str, *, below: int) -> None:
    about = select(_entries.idx).where(_entries.subject == subject, _entries.idx < below)
    connection.execute(delete(tables.digests).where(_digests.idx.in_(about)))


def _drop(connection: Connection, low: int, high: int) -> None:
    """The rows of the entries from `low` to below `high`."""
    connection.execute(delete(tables.digests).where(_digests.idx >= low, _digests.idx < high))
    connection.execute(delete(tables.entries).where(_entries.idx >= low, _entries.idx < high))


def _drop_lowest(connection: Connection, below: int) -> bool:
    """Some of the rows below the index; whether there were any."""
    lowest = connection.execute(select(func.min(_entries.idx))).scalar_one()
    if lowest is None or lowest >= below:
        return False
    _drop(connection, lowest, min(lowest + _SLICE, below))
    return True


def _drop_unseen(connection: Connection) -> bool:
    """Some of the rows above the position; whether there were any."""
    # Locked: what another process adds meanwhile moves the position, and is not to be taken for a remnant.
    next_: int = connection.execute(select(_position.next).where(_position.id == 1).with_for_update()).scalar_one()
    highest = connection.execute(select(func.max(_entries.idx))).scalar_one()
    if highest is None or highest < next_:
        return False
    _drop(connection, max(next_, highest + 1 - _SLICE), highest + 1)
    return True
