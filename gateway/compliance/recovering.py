"""The break-glass after a rollback: a log whose signed entries are lost goes on under another name.

One name never signs two trees. The first record under the new name says where the old one ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.audit.note import Checkpoint
from gateway.audit.tree import Frontier
from gateway.compliance import approval
from gateway.compliance.approval import Approval, Request
from gateway.compliance.operator import Operator
from gateway.errors import StateConflict
from gateway.ports import LogReader, Recovery

_PAGE = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """`kept`: entries that the database has. `signed`: the last known head under the old name."""

    kept: int
    signed: Checkpoint


async def loss(reader: LogReader, signed: Checkpoint) -> Loss:
    """Raises StateConflict when nothing is lost: the log has what was signed, and needs no new name."""
    head = await reader.head()
    if head.size >= signed.size and await _root(reader, signed.size) == signed.root:
        raise StateConflict("The log has all entries that were signed; there is nothing to recover from")
    return Loss(kept=head.size, signed=signed)


def asked(operator: Operator, lost: Loss, new_origin: str, now: float) -> Request:
    """What a second person approves: to give this much up, and the new name."""
    return approval.request("recover", _facts(lost, new_origin), operator.name, now)


async def recover(
    log: Recovery, operator: Operator, lost: Loss, *, new_origin: str, now: float, approved: Approval | None
) -> None:
    """Record and new name are one transaction; a crash leaves both or neither."""
    facts = _facts(lost, new_origin) | (approved.facts if approved else {})
    await log.recover(new_origin, operator.record(now, "audit.recovered", facts=facts))


def _facts(lost: Loss, new_origin: str) -> dict[str, str | int]:
    return {
        "origin": lost.signed.origin,
        "size": lost.signed.size,
        "root": lost.signed.root.hex(),
        "kept": lost.kept,
        "newOrigin": new_origin,
    }


async def _root(reader: LogReader, size: int) -> bytes:
    frontier = Frontier()
    while frontier.size < size:
        page = await reader.entries(frontier.size, min(_PAGE, size - frontier.size))
        if not page:
            break
        await asyncio.to_thread(frontier.extend, [stored.leaf_hash for stored in page])
    return frontier.root()
