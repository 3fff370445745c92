"""One transaction on the log, under the lock of its head row: many processes may write, one after the other.

What was committed before is compared with what this process saw last, so that a log that was forked or taken back
behind its back is noticed before anything is added to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from adapters.sql import entry_rows, tables
from adapters.sql.commit import NotBegun
from adapters.sql.prepared import Prepared
from adapters.sql.subject_keys import KeyRing
from gateway.audit.record import Origin, Record, entry
from gateway.audit.tree import Frontier
from gateway.core.merkle import leaf_hash
from gateway.ports import Position

_entries, _head = tables.entries.c, tables.head.c

_LAST_SEEN = select(_entries.leaf_hash).where(_entries.idx == bindparam("last_seen")).scalar_subquery()
_LOCK = Prepared(
    select(
        _head.origin,
        _head.size,
        _head.frontier,
        _head.root,
        _head.epoch,
        _head.erasures,
        _head.pruned,
        _head.emptied,
        _LAST_SEEN,
    )
    .where(_head.id == 1)
    .with_for_update(of=tables.head)
)
_CHANGED = ("origin", "size", "frontier", "root", "epoch", "erasures", "pruned", "emptied")
_ADVANCE = Prepared(update(tables.head).where(_head.id == 1).values({name: bindparam(name) for name in _CHANGED}))


class AuditLogDamaged(Exception):
    """The stored log contradicts itself, or is another log. Nothing may be appended to it."""


class AuditLogReplaced(AuditLogDamaged):
    """The stored log does not go on from what this process saw last: it was taken back, forked or recovered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Where the log stood when this process last looked. `last`: the leaf hash of its last entry."""

    size: int
    root: bytes
    epoch: int
    last: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """The job of one `append`."""

    records: Sequence[Record]

    def __call__(self, turn: LogTurn) -> Sequence[Position]:
        return turn.append(self.records)


Job = Callable[["LogTurn"], Any]
"""What is done in a turn. It refuses (raises GatewayError or ValueError) before it has changed anything."""


class LogTurn:
    """Made with the head locked, ended by `finish`. An act on the log changes the fields that are not private."""

    def __init__(self, connection: Connection, seen: Seen, keys: KeyRing, origin: Origin) -> None:
        """Raises AuditLogReplaced; NotBegun when the head cannot be locked."""
        try:
            found = _LOCK.rows(connection, {"last_seen": seen.size - 1})
        except connection.dialect.loaded_dbapi.Error as error:
            raise NotBegun from error
        if not found:
            raise AuditLogReplaced("the log has no head any more")
        name, size, frontier, root, epoch, erasures, pruned, emptied, last = found[0]
        root, last = bytes(root), None if last is None else bytes(last)
        # A log may only grow, and must still hold what this process saw.
        grown = size > seen.size or (size == seen.size and root == seen.root)
        if not grown or last != seen.last or epoch != seen.epoch:
            raise AuditLogReplaced(f"epoch {epoch} with {size} entries does not follow {seen.epoch}, {seen.size}")
        self.connection = connection
        self.keys = keys
        self.name: str = name
        self.epoch: int = epoch
        self.erasures: int = erasures
        self.pruned: int = pruned
        self.emptied: int = emptied
        keys.begin(erasures)
        self._origin = origin
        self._stored_root = root
        self._frontier = Frontier(size, bytes(frontier))
        self._last = last if size == seen.size else None
        self._first: int = size
        self._added: list[tuple[int, bytes, bytes]] = []
        self._before = self._values(root)

    @property
    def size(self) -> int:
        """With what was appended in this turn."""
        return self._first + len(self._added)

    def load_keys(self, records: Iterable[Record]) -> None:
        """Find or make all keys that these records will need, at once."""
        self.keys.load(self.connection, {item.seals_for: item.time for item in records if item.seals_for is not None})

    def append(self, records: Sequence[Record]) -> Sequence[Position]:
        """All or none. Raises ValueError for a record that cannot become an entry."""
        self.load_keys(records)
        positions, rows = [], []
        for index, data in enumerate(self._rendered(records), self.size):
            leaf = leaf_hash(data)
            positions.append(Position(index=index, leaf_hash=leaf))
            rows.append((index, data, leaf))
        self._added += rows
        return positions

    def _rendered(self, records: Sequence[Record]) -> list[bytes]:
        try:
            return [entry(record, self._origin, self.keys.seal) for record in records]
        except ValueError:
            raise
        except Exception as error:
            # One record with a value that no entry can hold is its caller's mistake, and no reason to end the log.
            raise ValueError("this record cannot become an audit entry") from error

    def finish(self) -> Seen:
        """Write what was added and the head; what this process has seen once it is committed."""
        root = self._stored_root
        if self._added:
            entry_rows.add(self.connection, self._added)
            self._frontier.extend(leaf for _, _, leaf in self._added)
            root = self._frontier.root()
        values = self._values(root)
        if values != self._before:
            _ADVANCE.run(self.connection, values)
        return Seen(size=self.size, root=root, epoch=self.epoch, last=self._last_leaf())

    def _last_leaf(self) -> bytes | None:
        if self._added:
            return self._added[-1][2]
        if self._last is None and self._first:
            return entry_rows.leaf(self.connection, self._first - 1)
        return self._last

    def _values(self, root: bytes) -> dict[str, Any]:
        return {
            "origin": self.name,
            "size": self.size,
            "frontier": self._frontier.packed,
            "root": root,
            "epoch": self.epoch,
            "erasures": self.erasures,
            "pruned": self.pruned,
            "emptied": self.emptied,
        }
