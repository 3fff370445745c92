"""The rows of the log's entries: added in bulk, read by index, emptied when they are pruned."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, update

from adapters.sql import tables
from adapters.sql.prepared import Prepared, insertion
from gateway.errors import AuditUnavailable
from gateway.ports import StoredEntry

_entries = tables.entries.c

_INSERT = insertion(tables.entries)
_PAGE = Prepared(
    select(_entries.idx, _entries.entry, _entries.leaf_hash)
    .where(_entries.idx >= bindparam("start"))
    .order_by(_entries.idx)
    .limit(bindparam("count"))
)
_LEAVES = Prepared(
    select(_entries.idx, _entries.leaf_hash)
    .where(_entries.idx >= bindparam("start"), _entries.idx < bindparam("stop"))
    .order_by(_entries.idx)
)
_EMPTY = Prepared(
    update(tables.entries)
    .where(_entries.idx >= bindparam("start"), _entries.idx < bindparam("stop"))
    .values(entry=bindparam("nothing"))
)

Row = tuple[int, bytes, bytes]
"""Index, entry, leaf hash."""


def add(connection: Connection, rows: Sequence[Row]) -> None:
    _INSERT.run_many(connection, [{"idx": index, "entry": data, "leaf_hash": leaf} for index, data, leaf in rows])


def page(connection: Connection, start: int, count: int) -> Sequence[StoredEntry]:
    """Up to `count` from `start` on, as `ports.LogReader` wants them. Raises AuditUnavailable when one is missing."""
    found = _PAGE.rows(connection, {"start": start, "count": count})
    if found and found[-1][0] != start + len(found) - 1:
        raise AuditUnavailable(private="entries are missing")
    return [StoredEntry(index=index, entry=bytes(data) or None, leaf_hash=bytes(leaf)) for index, data, leaf in found]


def leaves(connection: Connection, start: int, stop: int) -> Sequence[tuple[int, bytes]]:
    """Index and leaf hash of what there is from `start` to below `stop`."""
    found = _LEAVES.rows(connection, {"start": start, "stop": stop})
    return [(index, bytes(leaf)) for index, leaf in found]


def leaf(connection: Connection, index: int) -> bytes | None:
    found = leaves(connection, index, index + 1)
    return found[0][1] if found else None


def empty(connection: Connection, start: int, stop: int) -> None:
    """Drop the bytes of these entries; their leaf hashes stay."""
    _EMPTY.run(connection, {"start": start, "stop": stop, "nothing": b""})
