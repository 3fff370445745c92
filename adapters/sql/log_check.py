"""What is looked at when a log is opened: that head, tree and newest entries agree. All is for `audit verify`."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, text

from adapters.sql import entry_rows, subject_keys, tables
from adapters.sql.log_turn import AuditLogDamaged, Seen
from gateway.audit.tree import HASH_BYTES, Frontier
from gateway.core.merkle import leaf_hash
from gateway.errors import AuditUnavailable
from gateway.ports import Head, Sealer

_LEAVES_CHECKED = 65_536  # newest
_ENTRIES_CHECKED = 256  # newest, whose bytes are hashed again

_entries, _head = tables.entries.c, tables.head.c

# Two processes may open a new log at once.
_FIRST_HEAD = text(
    "INSERT INTO head (id, origin, size, frontier, root, epoch, erasures, pruned, emptied)"
    " VALUES (1, :origin, 0, :frontier, :root, 1, 0, 0, 0) ON CONFLICT DO NOTHING"
)
_HEAD = select(_head.origin, _head.size, _head.root, _head.pruned).where(_head.id == 1)
# One statement: what another process commits in between must not look like damage.
_ALL = select(
    _head.origin,
    _head.size,
    _head.frontier,
    _head.root,
    _head.epoch,
    _head.pruned,
    select(func.min(_entries.idx)).scalar_subquery().label("first"),
    select(func.max(_entries.idx)).scalar_subquery().label("last"),
).where(_head.id == 1)


def found(connection: Connection, name: str) -> None:
    """Make the head of a new log."""
    empty = Frontier()
    connection.execute(_FIRST_HEAD, {"origin": name, "frontier": empty.packed, "root": empty.root()})


def head(connection: Connection) -> Head:
    """As last committed. Raises AuditLogDamaged when there is none."""
    row = connection.execute(_HEAD).one_or_none()
    if row is None:
        raise AuditLogDamaged("the log has no head")
    return Head(origin=row.origin, size=row.size, root=row.root, pruned=row.pruned)


def check(connection: Connection, name: str, sealer: Sealer) -> Seen | None:
    """Where the log stands; None when there is none yet. Raises AuditLogDamaged."""
    row = connection.execute(_ALL).one_or_none()
    if row is None:
        if entry_rows.page(connection, 0, 1):
            raise AuditLogDamaged("there are entries, and no head")
        return None
    if row.origin != name:
        raise AuditLogDamaged(f"the database holds the log {row.origin!r}, not {name!r}")
    if (row.first, row.last) != ((0, row.size - 1) if row.size else (None, None)):
        raise AuditLogDamaged(f"the head says {row.size} entries, the entries go from {row.first} to {row.last}")
    try:
        root = Frontier(row.size, row.frontier).root()
    except ValueError as error:
        raise AuditLogDamaged("the head's size and its tree do not fit") from error
    if root != row.root:
        raise AuditLogDamaged("the head's root is not that of its tree")
    leaves = _newest_leaves(connection, row.size)
    _check_subtrees(row.size, row.frontier, leaves)
    _check_entries(connection, row.size, row.pruned)
    try:
        subject_keys.check(connection, sealer)
    except AuditUnavailable as error:
        raise AuditLogDamaged("the keys of the data owners cannot be opened: is this the right storage key?") from error
    return Seen(size=row.size, root=root, epoch=row.epoch, last=leaves[-1] if leaves else None)


def _newest_leaves(connection: Connection, size: int) -> list[bytes]:
    newest = min(size, _LEAVES_CHECKED)
    leaves = entry_rows.leaves(connection, size - newest, size)
    if len(leaves) != newest:
        raise AuditLogDamaged(f"{newest - len(leaves)} of the newest {newest} entries are missing")
    return [leaf for _, leaf in leaves]


def _check_subtrees(size: int, frontier: bytes, leaves: list[bytes]) -> None:
    """The tree's last complete subtrees, as far as they lie in the newest leaves."""
    stop = len(leaves)
    for place, level in enumerate(level for level in range(size.bit_length()) if size >> level & 1):
        start = stop - (1 << level)
        if start < 0:
            return
        subtree = Frontier()
        subtree.extend(leaves[start:stop])
        end = len(frontier) - place * HASH_BYTES
        if subtree.packed != frontier[end - HASH_BYTES : end]:
            raise AuditLogDamaged("the head's tree is not that of the newest entries")
        stop = start


def _check_entries(connection: Connection, size: int, pruned: int) -> None:
    start = max(pruned, size - _ENTRIES_CHECKED)
    for stored in entry_rows.page(connection, start, size - start):
        if stored.entry is None:
            if stored.index >= head(connection).pruned:  # else it was pruned while we looked
                raise AuditLogDamaged(f"entry {stored.index} has no bytes and is not pruned")
        elif leaf_hash(stored.entry) != stored.leaf_hash:
            raise AuditLogDamaged(f"the leaf hash of entry {stored.index} is not that of its bytes")
