"""The search index over the log, and the files that leave it as exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.audit.query import Query
from gateway.audit.searchable import Searchable


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """How far the search index follows which log. `last_leaf`: leaf hash of entry `next - 1`, by which a log that is
    another one behind the same name is noticed; empty at the start."""

    origin: str
    next: int
    last_leaf: bytes
    pruned: int  # rows below this index were dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The subject's key was destroyed by the entry at `index`."""

    subject: str
    index: int


class SearchIndex(Protocol):
    """Made from the log, and made anew from it at any time. Several processes may fill it. Raises AuditUnavailable."""

    async def position(self) -> Indexed:
        """As last committed; origin "" before the first `add`."""

    async def add(self, rows: Sequence[Searchable], *, erasures: Sequence[Erasure], done: Indexed, to: Indexed) -> bool:
        """Put in the rows of the entries from `done.next` to below `to.next`, drop what erasures among them concern
        (digests of the subject in entries before each), and move the position from `done` to `to`, in one transaction.
        False, and nothing is written, when the position is not `done` any more: another process was there first."""

    async def find(self, query: Query, *, after: int | None, newest_first: bool, limit: int) -> Sequence[int]:
        """Indices of up to `limit` entries below the position that match, by index, behind `after` in that order."""

    async def forget_digests(self, subject: str) -> None:
        """Drop the digests of all entries about the subject."""

    async def prune(self, below: int) -> None:
        """Drop the rows below the index. Bounded transactions; a crash leaves some, and the next call goes on."""

    async def start_over(self, origin: str, *, instead_of: Indexed) -> None:
        """Empty it, for the log of this name. Nothing happens when the position is not `instead_of` any more: another
        process was there first."""


class Draft(Protocol):
    """A file that nobody sees under its name before `publish`. Blocking: called in threads. Raises OSError for trouble
    with the disk."""

    def finish(self) -> tuple[str, int]:
        """No more is written: hex SHA-256 and length of the file, synced."""

    def publish(self) -> None:
        """It has its name, durably, and all of it at once. Raises FileExistsError, and keeps the other file."""


class Archive(Protocol):
    """Many files in one (`Draft`), the same bytes for the same files. Blocking. Raises OSError."""

    def start(self, path: str) -> None:
        """The next file. Raises ValueError for a name that was there before."""

    def write(self, data: bytes) -> None:
        """More of the file that was started last."""

    def digests(self) -> Mapping[str, str]:
        """Hex SHA-256 of every file by its path. The last one is ended by it."""

    def close(self) -> None:
        """No more files."""


class RecordTable(Protocol):
    """Rows of `audit.columns`, as a table for other programs. Blocking. Raises OSError."""

    def add(self, rows: Sequence[ExportedRow]) -> None: ...

    def close(self) -> None:
        """No more rows. Again: nothing."""


class SpooledTable(RecordTable, Protocol):
    """A table that is kept aside, to be put into an `Archive` later."""

    def chunks(self) -> Iterator[bytes]:
        """Its bytes, after `close`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRow:
    """`condition`: of the private fields, see `compliance.opening`. `body`: the opened entry; None: nothing of it can
    be read."""

    index: int
    leaf_hash: bytes
    condition: str
    body: Mapping[str, Any] | None
