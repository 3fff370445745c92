"""Pruning: the bytes of the oldest entries go when their retention is over; leaf hashes stay, and so do all proofs.

How far is computed from the log (`plan`), and the record of it (`audit.pruned`) is one transaction with the decision.
A verifier lets bundles be missing below the highest `below` of such a record in the tree that it verifies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from gateway.audit.retention import Dated, Reach
from gateway.compliance import approval
from gateway.compliance.approval import Approval, Request
from gateway.compliance.operator import Operator
from gateway.ports import LogReader, Pruning, StoredEntry, SubjectKeys

_PAGE = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Entries from `first` to below `below` go; none when they are equal. `newest`: time of the newest that goes.
    `kept`: the oldest entry that is too young; None when something else ends the pruning: `held`, the lowest index
    that a hold keeps, `forwarded`, up to where every receiver of copies has them, or `published`, the size that
    outsiders can verify."""

    first: int
    below: int
    newest: str | None
    kept: Dated | None
    held: int | None
    published: int
    forwarded: int | None

    @property
    def count(self) -> int:
        return self.below - self.first


async def plan(
    log: LogReader,
    keys: SubjectKeys,
    *,
    published: int,
    forwarded: int | None = None,
    now: float,
    days: Mapping[str, int],
    most: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Plan:
    """How far pruning may go by now. `days`: by retention class. `most`: no further than this index.

    Looks only at what is old enough and the first entry that is not.
    """
    head = await log.head()
    held = min((hold.from_index for hold in await keys.holds()), default=None)
    limit = min(bound for bound in (published, forwarded, head.size, held, most) if bound is not None)
    place = head.pruned
    reach = Reach(start=place, limit=limit, now=await _by_the_log(log, head.size, now), days=days)
    wanted = True
    while wanted and place < limit and (page := await log.entries(place, min(_PAGE, limit - place))):
        wanted = await asyncio.to_thread(_take, reach, page)
        place += len(page)
        progress(place - head.pruned, limit - head.pruned)
    return Plan(
        first=head.pruned,
        below=reach.below,
        newest=reach.newest,
        kept=reach.kept,
        held=held,
        published=published,
        forwarded=forwarded,
    )


def asked(operator: Operator, log: str, below: int, now: float) -> Request:
    """What a second person approves: that it is good for this log alone, too."""
    return approval.request("prune", {"log": log, "below": below}, operator.name, now)


async def prune(pruning: Pruning, operator: Operator, made: Plan, *, now: float, approved: Approval | None) -> int:
    """Do it, with its record; how many entries lost their bytes: 0, and no record, for a plan without any.

    Raises StateConflict when a hold was set since that covers one of them, AuditUnavailable.
    """
    if made.newest is None:
        return 0
    facts: dict[str, str | int] = {"from": made.first, "below": made.below, "newest": made.newest}
    if approved is not None:
        facts |= approved.facts
    return await pruning.prune(made.below, operator.record(now, "audit.pruned", facts=facts))


async def _by_the_log(log: LogReader, size: int, now: float) -> float:
    """Now, but not later than the newest entry: a clock that is years ahead where the command runs must prune nothing
    early. What the log has seen of time, it has on record."""
    if not size:
        return now
    [newest] = await log.entries(size - 1, 1)
    return min(now, datetime.fromisoformat(_dated(newest).time).timestamp())


def _take(reach: Reach, page: Sequence[StoredEntry]) -> bool:
    return all(reach.take(_dated(stored)) for stored in page)


def _dated(stored: StoredEntry) -> Dated:
    """An entry that is none of ours has no class, and stays."""
    try:
        body = orjson.loads(stored.entry or b"")
        datetime.fromisoformat(body["time"])
        return Dated(index=stored.index, time=body["time"], retention=str(body["retention"]))
    except (ValueError, KeyError, TypeError):
        return Dated(index=stored.index, time=_NEVER, retention="unreadable")


_NEVER = datetime.fromtimestamp(0, UTC).isoformat()
