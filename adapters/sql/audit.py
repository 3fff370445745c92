"""`ports.AuditLog` on SQL, and the ports beside it: the durable truth of the log, indices from 0 without gaps.

Tiles, checkpoints and proofs are made from these rows beside it, at any time later. What happens in a transaction is
in `log_turn` and `log_acts`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from adapters.sql import engine as engines
from adapters.sql import entry_rows, log_acts, log_check, subject_keys
from adapters.sql.commit import GroupCommit
from adapters.sql.log_turn import Append, AuditLogDamaged, Job, LogTurn, Seen
from adapters.sql.subject_keys import KeyRing
from gateway.audit.privacy import Open
from gateway.audit.record import Origin, Record
from gateway.errors import AuditUnavailable, GatewayError
from gateway.ports import Head, Hold, Position, Sealer, StoredEntry

__all__ = ["AuditLogDamaged", "SqlAuditLog", "open_audit_log"]

_KEYS_REMEMBERED_MAX = 16_384  # of data owners, about 10 MiB

_Read = Callable[[Connection], Any]
_Found = TypeVar("_Found")


@asynccontextmanager
async def open_audit_log(
    url: str,
    *,
    name: str,
    origin: Origin,
    sealer: Sealer,
    queue_max: int,
    batch_max: int,
    damaged: Callable[[str], None] = lambda _key_id: None,
) -> AsyncIterator[SqlAuditLog]:
    """The log, for as long as the block lasts; at its end, what waits is finished.

    `name` is the log's own name (settings `audit.origin`), `sealer` wraps the keys of the data owners. Others may have
    the log open too. `damaged` is told, in any thread, the id of a data owner's key that had to be replaced. The schema
    must be current (`migrations.check`). Raises AuditLogDamaged, or AuditUnavailable.
    """
    writing, reading = engines.create(url, erases=True), engines.create(url, reads_only=True)
    checkpointer = engines.Checkpointer(writing)
    log = SqlAuditLog(
        writing,
        reading,
        name=name,
        origin=origin,
        sealer=sealer,
        queue_max=queue_max,
        batch_max=batch_max,
        erased=checkpointer.cut_off_soon,
        damaged=damaged,
    )
    try:
        await log.start()
        checkpointer.start()
        yield log
    finally:
        await log.close()
        await asyncio.to_thread(checkpointer.close)


class SqlAuditLog:
    """See `ports`: `AuditLog`, `LogReader`, `SubjectKeys`, `Pruning`, `Recovery`, `Cursors`, `Approvals`; used from one
    event loop."""

    def __init__(
        self,
        writing: Engine,
        reading: Engine,
        *,
        name: str,
        origin: Origin,
        sealer: Sealer,
        queue_max: int,
        batch_max: int,
        erased: Callable[[], None] = lambda: None,
        damaged: Callable[[str], None] = lambda _key_id: None,
    ) -> None:
        """`erased` is told, in any thread, when bytes were dropped that must not stay in a write-ahead log; `damaged`:
        see `open_audit_log`."""
        self._name = name
        self._origin = origin
        self._sealer = sealer
        self._erased = erased
        # Both are the writing thread's once the log has started.
        self._keys = KeyRing(sealer, keys_max=_KEYS_REMEMBERED_MAX, damaged=damaged)
        self._seen: Seen | None = None
        self._dropped: tuple[int, int] | None = None
        self._writes: GroupCommit[Job | None, Any] = GroupCommit(
            writing,
            self._write,
            name="audit-writes",
            queue_max=queue_max,
            batch_max=batch_max,
            full=AuditUnavailable,
            unavailable=AuditUnavailable,
            fatal=True,
        )
        self._reads: GroupCommit[_Read, Any] = GroupCommit(
            reading,
            lambda connection, jobs: [job(connection) for job in jobs],
            name="audit-reads",
            queue_max=queue_max,
            batch_max=batch_max,
            full=AuditUnavailable,
            unavailable=AuditUnavailable,
        )

    async def start(self) -> None:
        """Check the log, make it if it is new, and learn where it stands. Once, before anything else. Raises
        AuditLogDamaged."""
        # By reading: looking at the newest entries takes a while, and others may be writing.
        seen = await self._read(self._check)
        if seen is None:
            await self._writes.run(None)
            seen = await self._read(self._check)
        self._seen = seen
        await self._empty_pruned()  # what a crash left of it

    async def close(self) -> None:
        await self._writes.close()
        await self._reads.close()

    # --- AuditLog -----------------------------------------------------------------------------------------------

    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        """See the port. Also raises ValueError for a record that cannot become an entry; the log stays usable."""
        if not records:
            return ()
        positions: Sequence[Position] = await self._writes.run(Append(records=records), weight=len(records))
        return positions

    def healthy(self) -> bool:
        return self._writes.healthy()

    # --- LogReader ----------------------------------------------------------------------------------------------

    async def head(self) -> Head:
        return await self._read(log_check.head)

    async def entries(self, start: int, count: int) -> Sequence[StoredEntry]:
        return await self._read(lambda connection: entry_rows.page(connection, start, count))

    async def size(self) -> int:
        """The number of committed entries."""
        return (await self.head()).size

    async def read(self, start: int = 0, *, page: int = 1_000) -> AsyncIterator[StoredEntry]:
        """Committed entries from index `start`, in order, fetched `page` at a time."""
        while entries := await self.entries(start, page):
            for stored in entries:
                yield stored
            start += len(entries)

    # --- SubjectKeys --------------------------------------------------------------------------------------------

    async def open_for(self, subjects: Sequence[str]) -> Open:
        return await self._read(lambda connection: subject_keys.opener(connection, subjects, self._sealer))

    async def erase(self, subject: str, record: Record) -> bool:
        erased: bool = await self._writes.run(partial(log_acts.erase, subject=subject, record=record))
        if erased:
            self._erased()
        return erased

    async def hold(self, hold: Hold, record: Record) -> None:
        await self._writes.run(partial(log_acts.hold, wanted=hold, record=record))

    async def release(self, hold_id: str, record: Record) -> bool:
        released: bool = await self._writes.run(partial(log_acts.release, hold_id=hold_id, record=record))
        return released

    async def holds(self) -> Sequence[Hold]:
        return await self._read(log_acts.holds)

    # --- Pruning, Recovery, Cursors, Approvals ------------------------------------------------------------------

    async def prune(self, below: int, record: Record) -> int:
        dropped: int = await self._writes.run(partial(log_acts.prune, below=below, record=record))
        await self._empty_pruned()
        return dropped

    async def recover(self, new_name: str, record: Record) -> None:
        await self._writes.run(partial(log_acts.recover, new_name=new_name, record=record))

    async def cursor(self, name: str) -> int:
        return await self._read(lambda connection: log_acts.cursor(connection, name))

    async def set_cursor(self, name: str, following: int) -> None:
        await self._writes.run(partial(log_acts.set_cursor, name=name, following=following))

    async def spend(self, approval_id: str, *, now: float) -> bool:
        fresh: bool = await self._writes.run(partial(log_acts.spend, approval_id=approval_id, now=now))
        return fresh

    async def _empty_pruned(self) -> None:
        if await self._read(log_acts.to_be_emptied):
            while await self._writes.run(log_acts.empty_some):
                continue
            self._erased()

    def _check(self, connection: Connection) -> Seen | None:
        return log_check.check(connection, self._name, self._sealer)

    async def _read(self, job: Callable[[Connection], _Found]) -> _Found:
        found: _Found = await self._reads.run(job)
        return found

    # --- in the writing thread ----------------------------------------------------------------------------------

    def _write(self, connection: Connection, jobs: Sequence[Job | None]) -> Sequence[Any]:
        if self._seen is None:  # not started yet: the log is new
            log_check.found(connection, self._name)
            return [None] * len(jobs)
        turn = LogTurn(connection, self._seen, self._keys, self._origin)
        dropped = turn.erasures, turn.emptied
        if dropped != self._dropped:  # maybe by a process that could not cut the write-ahead log off before it ended
            self._dropped = dropped
            self._erased()
        try:
            turn.load_keys(record for job in jobs if isinstance(job, Append) for record in job.records)
            outcomes = [_outcome(job, turn) for job in jobs if job is not None]
            seen = turn.finish()
        except Exception:  # not the end of the log when it was a lock that others held
            self._keys.forget()
            raise
        # If the commit fails after this, the log is dead for this process and what it saw no longer matters.
        self._seen = seen
        return outcomes


def _outcome(job: Job, turn: LogTurn) -> Any:
    try:
        return job(turn)
    except (GatewayError, ValueError) as refusal:
        return refusal
