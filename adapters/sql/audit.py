"""`ports.AuditLog` on SQL: the durable truth of the log, one writer at a time, indices from 0 without gaps.

Tiles, checkpoints and proofs are made from these rows beside it, at any time later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from adapters.sql import engine as engines
from adapters.sql import tables
from adapters.sql.commit import GroupCommit
from adapters.sql.prepared import Prepared, insertion
from gateway.audit.record import Origin, Record, entry
from gateway.core.merkle import leaf_hash
from gateway.errors import AuditUnavailable
from gateway.ports import Position

_CHECKED_AT_START = 65_536  # newest entries; `audit verify` looks at all of them

_entries, _head = tables.entries.c, tables.head.c

_INSERT = insertion(tables.entries)
_ADVANCE_HEAD = Prepared(
    update(tables.head)
    .where(_head.id == 1, _head.size == bindparam("old"), _head.epoch == bindparam("of_epoch"))
    .values(size=bindparam("new"))
)
_TAKE_OVER = (
    update(tables.head)
    .where(_head.id == 1)
    .values(epoch=_head.epoch + 1)
    .returning(_head.origin, _head.size, _head.epoch)
)
_SIZE = select(_head.size).where(_head.id == 1)
_PAGE = (
    select(_entries.idx, _entries.entry, _entries.leaf_hash)
    .where(_entries.idx >= bindparam("start"))
    .order_by(_entries.idx)
    .limit(bindparam("count"))
)


class AuditLogDamaged(Exception):
    """The stored log contradicts itself, or is another log. Nothing may be appended to it."""


class _TakenOver(Exception):
    """Another process has opened this log since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    index: int
    entry: bytes  # RFC 8785
    leaf_hash: bytes  # RFC 6962, 32 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """The entries of one `append`."""

    entries: Sequence[bytes]


@asynccontextmanager
async def open_audit_log(
    url: str, *, name: str, origin: Origin, queue_max: int, batch_max: int
) -> AsyncIterator[SqlAuditLog]:
    """The log, for as long as the block lasts; at its end, what waits is finished.

    `name` is the log's own name (settings `audit.origin`). Opening takes the log over: a process that had it open can
    append no more. The schema must be current (`migrations.check`). Raises AuditLogDamaged, or AuditUnavailable.
    """
    writing, reading = engines.create(url), engines.create(url, reads_only=True)
    log = SqlAuditLog(writing, reading, name=name, origin=origin, queue_max=queue_max, batch_max=batch_max)
    checkpointer = engines.Checkpointer(writing)
    try:
        await log.take_over()
        checkpointer.start()
        yield log
    finally:
        await log.close()
        await asyncio.to_thread(checkpointer.close)


class SqlAuditLog:
    """See `ports.AuditLog`; used from one event loop."""

    def __init__(
        self, writing: Engine, reading: Engine, *, name: str, origin: Origin, queue_max: int, batch_max: int
    ) -> None:
        self._name = name
        self._origin = origin
        self._size = 0  # both as the writing thread knows them
        self._epoch = 0
        self._writes: GroupCommit[_Batch | None, Sequence[Position]] = GroupCommit(
            writing,
            self._write,
            name="audit-writes",
            queue_max=queue_max,
            batch_max=batch_max,
            full=AuditUnavailable,
            unavailable=AuditUnavailable,
            fatal=True,
        )
        self._reads: GroupCommit[Callable[[Connection], Any], Any] = GroupCommit(
            reading,
            lambda connection, jobs: [job(connection) for job in jobs],
            name="audit-reads",
            queue_max=queue_max,
            batch_max=batch_max,
            full=AuditUnavailable,
            unavailable=AuditUnavailable,
        )

    async def take_over(self) -> None:
        """Check the log and make this process its writer. Once, before anything else. Raises AuditLogDamaged."""
        try:
            await self._writes.run(None)
        except AuditUnavailable as error:
            if isinstance(error.__cause__, AuditLogDamaged):
                raise error.__cause__ from None
            raise

    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        """See the port. Also raises ValueError for a record whose entry is above its limit; the log stays usable."""
        if not records:
            return ()
        entries = [entry(record, self._origin) for record in records]
        return await self._writes.run(_Batch(entries=entries), weight=len(entries))

    def healthy(self) -> bool:
        return self._writes.healthy()

    async def size(self) -> int:
        """The number of committed entries."""
        size: int | None = await self._reads.run(lambda connection: connection.execute(_SIZE).scalar_one_or_none())
        return size or 0

    async def read(self, start: int = 0, *, page: int = 1_000) -> AsyncIterator[StoredEntry]:
        """Committed entries from index `start`, in order, fetched `page` at a time."""
        while entries := await self._page(start, page):
            for stored in entries:
                yield stored
            start += len(entries)

    async def _page(self, start: int, count: int) -> Sequence[StoredEntry]:
        rows: Sequence[tuple[int, bytes, bytes]] = await self._reads.run(
            lambda connection: connection.execute(_PAGE, {"start": start, "count": count}).all()
        )
        return [StoredEntry(index=index, entry=data, leaf_hash=leaf) for index, data, leaf in rows]

    async def close(self) -> None:
        await self._writes.close()
        await self._reads.close()

    # --- in the writing thread ----------------------------------------------------------------------------------

    def _write(self, connection: Connection, jobs: Sequence[_Batch | None]) -> Sequence[Sequence[Position] | Exception]:
        positions: list[Sequence[Position]] = []
        rows: list[dict[str, Any]] = []
        size = self._size
        for batch in jobs:
            if batch is None:
                size = self._open(connection)
                positions.append(())
                continue
            hashes = [leaf_hash(data) for data in batch.entries]
            indices = range(size + len(rows), size + len(rows) + len(hashes))
            positions.append([Position(index=i, leaf_hash=leaf) for i, leaf in zip(indices, hashes, strict=True)])
            rows.extend(
                {"idx": i, "entry": data, "leaf_hash": leaf}
                for i, data, leaf in zip(indices, batch.entries, hashes, strict=True)
            )
        if rows:
            # The head row is compared and locked in the inserting transaction: a writer that was paused while
            # another took over finds another epoch, and cannot fork the log.
            moved = {"old": size, "of_epoch": self._epoch, "new": size + len(rows)}
            if _ADVANCE_HEAD.run(connection, moved) != 1:
                raise _TakenOver
            _INSERT.run_many(connection, rows)
        # If the commit fails after this, the log is dead for this process and the numbers no longer matter.
        self._size = size + len(rows)
        return positions

    def _open(self, connection: Connection) -> int:
        """A crash after this leaves a used-up epoch number and nothing else."""
        head = connection.execute(_TAKE_OVER).one_or_none()
        if head is None:
            connection.execute(insert(tables.head), {"id": 1, "origin": self._name, "size": 0, "epoch": 1})
        name, size, self._epoch = head if head is not None else (self._name, 0, 1)
        if name != self._name:
            raise AuditLogDamaged(f"the database holds the log {name!r}, not {self._name!r}")
        _check(connection, size)
        return size


def _check(connection: Connection, size: int) -> None:
    first, last = connection.execute(select(func.min(_entries.idx), func.max(_entries.idx))).one()
    if (first, last) != ((0, size - 1) if size else (None, None)):
        raise AuditLogDamaged(f"the head says {size} entries, the entries go from {first} to {last}")
    if not size:
        return
    newest = min(size, _CHECKED_AT_START)
    count = connection.execute(select(func.count()).where(_entries.idx >= size - newest)).scalar_one()
    if count != newest:
        raise AuditLogDamaged(f"{newest - count} of the newest {newest} entries are missing")
    data, leaf = connection.execute(select(_entries.entry, _entries.leaf_hash).where(_entries.idx == size - 1)).one()
    if leaf_hash(data) != leaf:
        raise AuditLogDamaged(f"the leaf hash of entry {size - 1} is not that of its bytes")
