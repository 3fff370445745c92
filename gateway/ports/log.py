"""What the audit log is to those who write, read and keep it. Each comment is the contract its adapter is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.audit.privacy import Open
from gateway.audit.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a record stands in the log: its index from 0 and its RFC 6962 leaf hash (32 bytes)."""

    index: int
    leaf_hash: bytes


class AuditLog(Protocol):
    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        """Durable (synced) on return, in order, all or none.

        Raises AuditUnavailable at once when the queue is full, or when any write has ever failed in this process:
        a failed sync is never retried in place.
        """

    def healthy(self) -> bool:
        """Whether an append could succeed now, and is to be answered for: publication, witnesses and time-stamps are
        within their limits. Never blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """A committed entry. `entry`: its RFC 8785 bytes, None once pruned. `leaf_hash`: RFC 6962, 32 bytes."""

    index: int
    entry: bytes | None
    leaf_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the log says of itself: number of entries, root over them, lowest index that is not pruned."""

    origin: str
    size: int
    root: bytes
    pruned: int


class LogReader(Protocol):
    """The committed entries, for those that follow the log beside its commit path. Raises AuditUnavailable."""

    async def head(self) -> Head:
        """As last committed, also by other processes."""

    async def entries(self, start: int, count: int) -> Sequence[StoredEntry]:
        """Up to `count` entries from index `start`, in order, without gaps."""


class OpeningKeys(Protocol):
    """The keys of the data owners, who are known by their pseudonyms, for those who read. Raises AuditUnavailable."""

    async def open_for(self, subjects: Sequence[str]) -> Open:
        """For `privacy.opened`, with the keys of these subjects as they are now."""


class SubjectKeys(OpeningKeys, Protocol):
    """The same for those who may end a key's life, or see that it goes on. Raises AuditUnavailable."""

    async def erase(self, subject: str, record: Record) -> bool:
        """Destroy the subject's keys and append `record`, in one transaction. False, and nothing is written, when there
        is none. From then on no process can open, in whatever it had in memory, what was sealed under them; new entries
        about the subject get a new key. Raises StateConflict while a hold is on the subject."""

    async def hold(self, hold: Hold, record: Record) -> None:
        """Set the hold and append `record`, in one transaction. Raises StateConflict when its id is taken."""

    async def release(self, hold_id: str, record: Record) -> bool:
        """Lift it and append `record`, in one transaction. False when there is no such hold."""

    async def holds(self) -> Sequence[Hold]:
        """All that are set, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A legal hold: the subject's key stays, and no entry from `from_index` on is pruned. `subject` None: everybody."""

    hold_id: str
    subject: str | None
    from_index: int
    reason: str  # a case number or code, never a person's data
    since: float


class Recovery(Protocol):
    async def recover(self, new_name: str, record: Record) -> None:
        """The way on after a rollback: give the log a new name and append `record`, in one transaction. Every other
        process that has it open can append no more."""


class Cursors(Protocol):
    """Where those stand that follow the log and must not lose their place. Raises AuditUnavailable."""

    async def cursor(self, name: str) -> int:
        """The index of the next entry for the follower of this name; 0 for a new one."""

    async def set_cursor(self, name: str, following: int) -> None:
        """Durable on return."""


class Pruning(Protocol):
    async def prune(self, below: int, record: Record) -> int:
        """Drop the bytes of the entries below the index (a multiple of 256; leaf hashes stay). The number of entries
        that lost them; 0, and nothing is written, when they had lost them before.

        The decision and `record` are one transaction; the bytes are gone on return, or after a crash when the log is
        opened next. Raises StateConflict when a hold covers one of them, ValueError for an index of no bundle's end.
        """


class Approvals(Protocol):
    async def spend(self, approval_id: str, *, now: float) -> bool:
        """Whether this approval was not used before; from now on it is, on every process, durably. Spent before the
        act: a crash between loses an approval, and never uses one twice. Raises AuditUnavailable."""
