"""How long entries are kept: the class of each type of record, and how far the oldest ones may be pruned. Pure.

Pruning takes whole bundles from the front: what is young, held or not yet published keeps all that follows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.audit.tiles import WIDTH

_DAY_SECONDS = 86_400


class Retention(StrEnum):
    STANDARD = "standard"
    OPERATIONAL = "operational"


CLASSES: Mapping[str, Retention] = {
    "admission.refused": Retention.OPERATIONAL,  # counts of refusals at the door
    "config.loaded": Retention.OPERATIONAL,
    "inbound.refused": Retention.OPERATIONAL,
    "service.started": Retention.OPERATIONAL,
    "service.stopped": Retention.OPERATIONAL,
    "token.refused": Retention.OPERATIONAL,
}
"""Types of records that are not kept as consents and verifications are. What the log says of itself (`audit.*`,
`key.rotated`) is not among them: without it a pruned log or an old checkpoint could not be explained."""


def retention_class(record_type: str) -> Retention:
    return CLASSES.get(record_type, Retention.STANDARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """What pruning looks at in an entry. `retention`: as the entry says; a class that is not known is kept for ever."""

    index: int
    time: str  # RFC 3339, as in the entry
    retention: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far pruning may go. `below`: a multiple of 256; entries from it on stay. `newest`: time of the newest entry
    that goes, None when none does. `kept`: the oldest entry that is too young; None when the limit came first."""

    below: int
    newest: str | None
    kept: Dated | None


def prunable(entries: Iterable[Dated], *, start: int, limit: int, now: float, days: Mapping[str, int]) -> Reach:
    """Look at the entries from index `start` (a multiple of 256) on, in order, and stop at the first that stays.

    `limit`: no entry from it on may go (published size, holds). `days`: by class. An entry counts as being as young as
    the youngest before it: entries were written in their order, so where the clock went back, the time that an entry
    shows is too old. A clock that ran ahead keeps entries longer, never shorter.
    """
    youngest, newest = float("-inf"), None
    below, bundle_newest = start, None
    for item in entries:
        if item.index >= limit:
            break
        shown = datetime.fromisoformat(item.time).timestamp()
        if shown > youngest:
            youngest, newest = shown, item.time
        kept_days = days.get(item.retention)
        if kept_days is None or youngest > now - kept_days * _DAY_SECONDS:
            return Reach(below=below, newest=bundle_newest, kept=item)
        if (item.index + 1) % WIDTH == 0:
            below, bundle_newest = item.index + 1, newest
    return Reach(below=below, newest=bundle_newest, kept=None)
