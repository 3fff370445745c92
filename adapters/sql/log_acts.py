"""What is done to a log beside appending: erasing a subject, holds, pruning, recovery, the places of followers.

Each act is one turn with its record in it: it happened and is recorded, or neither. It refuses before it changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, bindparam, delete, exists, insert, or_, select, update

from adapters.sql import entry_rows, tables
from adapters.sql.log_turn import LogTurn
from gateway.audit import tiles
from gateway.audit.record import Record
from gateway.errors import StateConflict
from gateway.ports import Hold

EMPTIED_AT_ONCE = 2_048  # entries, so that those who append wait for milliseconds only

_head, _holds, _cursors, _approvals = tables.head.c, tables.holds.c, tables.cursors.c, tables.approvals.c

_TO_BE_EMPTIED = select(_head.id).where(_head.emptied < _head.pruned)
_NEXT = select(_cursors.next).where(_cursors.name == bindparam("of_name"))


def erase(turn: LogTurn, subject: str, record: Record) -> bool:
    """See `ports.SubjectKeys`."""
    on_subject = exists().where(or_(_holds.subject.is_(None), _holds.subject == subject))
    if turn.connection.scalar(select(on_subject)):
        raise StateConflict("A legal hold is on this subject")
    if not turn.keys.has(turn.connection, subject):
        return False
    turn.append([record])
    turn.keys.erase(turn.connection, subject)
    turn.erasures += 1
    return True


def hold(turn: LogTurn, wanted: Hold, record: Record) -> None:
    """See `ports.SubjectKeys`."""
    _require_fit(tables.holds, hold_id=wanted.hold_id, subject=wanted.subject or "", reason=wanted.reason)
    if wanted.from_index < 0:
        raise ValueError("a hold begins at an index of the log")
    if turn.connection.scalar(select(exists().where(_holds.hold_id == wanted.hold_id))):
        raise StateConflict("A hold with this id is set")
    turn.append([record])
    turn.connection.execute(
        insert(tables.holds),
        {
            "hold_id": wanted.hold_id,
            "subject": wanted.subject,
            "from_index": wanted.from_index,
            "reason": wanted.reason,
            "since": wanted.since,
        },
    )


def release(turn: LogTurn, hold_id: str, record: Record) -> bool:
    """See `ports.SubjectKeys`."""
    if not turn.connection.scalar(select(exists().where(_holds.hold_id == hold_id))):
        return False
    turn.append([record])
    turn.connection.execute(delete(tables.holds).where(_holds.hold_id == hold_id))
    return True


def holds(connection: Connection) -> Sequence[Hold]:
    """All that are set, oldest first."""
    rows = connection.execute(select(tables.holds).order_by(_holds.since, _holds.hold_id))
    return [Hold(**row) for row in rows.mappings()]


def prune(turn: LogTurn, below: int, record: Record) -> int:
    """Decide it: see `ports.Pruning`. The bytes go in the turns that follow, `empty_some`.

    A crash in between leaves `emptied` behind `pruned`; the next process that opens the log goes on from there.
    """
    if below % tiles.WIDTH or not 0 <= below <= turn.size:
        raise ValueError(f"pruning ends at a multiple of {tiles.WIDTH} within the log")
    if turn.connection.scalar(select(exists().where(_holds.from_index < below))):
        raise StateConflict("A legal hold covers entries that were to be pruned")
    if below <= turn.pruned:
        return 0
    turn.append([record])
    dropped, turn.pruned = below - turn.pruned, below
    return dropped


def empty_some(turn: LogTurn) -> bool:
    """Drop the bytes of some pruned entries; whether there are more."""
    stop = min(turn.pruned, turn.emptied + EMPTIED_AT_ONCE)
    if stop > turn.emptied:
        entry_rows.empty(turn.connection, turn.emptied, stop)
        turn.emptied = stop
    return turn.emptied < turn.pruned


def to_be_emptied(connection: Connection) -> bool:
    """Whether pruned entries have their bytes still."""
    return connection.scalar(_TO_BE_EMPTIED) is not None


def recover(turn: LogTurn, new_name: str, record: Record) -> None:
    """Give the log a new name and a new epoch: see `ports.Recovery`."""
    _require_fit(tables.head, origin=new_name)
    if new_name == turn.name:
        raise ValueError("a recovered log needs another name")
    turn.append([record])
    turn.name = new_name
    turn.epoch += 1


def cursor(connection: Connection, name: str) -> int:
    return connection.scalar(_NEXT, {"of_name": name}) or 0


def set_cursor(turn: LogTurn, name: str, following: int) -> None:
    _require_fit(tables.cursors, name=name)
    # No race between the two: the head is locked.
    moved = turn.connection.execute(update(tables.cursors).where(_cursors.name == name).values(next=following))
    if moved.rowcount == 0:
        turn.connection.execute(insert(tables.cursors), {"name": name, "next": following})


def spend(turn: LogTurn, approval_id: str, now: float) -> bool:
    """See `ports.Approvals`. Without a record: that of the act which was approved names the approval."""
    _require_fit(tables.approvals, approval_id=approval_id)
    if turn.connection.scalar(select(exists().where(_approvals.approval_id == approval_id))):
        return False
    turn.connection.execute(insert(tables.approvals), {"approval_id": approval_id, "used_at": now})
    return True


def _require_fit(table: Table, **texts: str) -> None:
    """Raises ValueError for a text above its column's limit: the database would refuse it, and that ends the log."""
    for name, value in texts.items():
        length = table.c[name].type.length  # type: ignore[attr-defined]
        if len(value) > length:
            raise ValueError(f"{name} has more than {length} characters")
