"""How long entries are kept: the class of each type of record, and how far the oldest ones may be pruned. Pure.

Pruning takes whole bundles from the front: what is young, held or not yet published keeps all that follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
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


class Reach:
    """How far pruning may go: give it the entries from index `start` (a multiple of 256) on, in order.

    `limit`: no entry from it on may go (published size, holds). `days`: by class. An entry counts as being as young as
    the youngest before it: entries were written in their order, so where the clock went back, the time that an entry
    shows is too old. A clock that ran ahead keeps entries longer, never shorter.
    """

    def __init__(self, *, start: int, limit: int, now: float, days: Mapping[str, int]) -> None:
        self.below = start
        """A multiple of 256; entries from it on stay."""
        self.newest: str | None = None
        """Time of the newest entry that goes; None when none does."""
        self.kept: Dated | None = None
        """The oldest entry that is too young; None when the limit came first."""
        self._limit = limit
        self._now = now
        self._days = days
        self._youngest = float("-inf")
        self._youngest_time: str | None = None

    def take(self, entry: Dated) -> bool:
        """Whether the next entry is wanted too. Raises ValueError for a time that is none."""
        if entry.index >= self._limit:
            return False
        shown = datetime.fromisoformat(entry.time).timestamp()
        if shown > self._youngest:
            self._youngest, self._youngest_time = shown, entry.time
        days = self._days.get(entry.retention)
        if days is None or self._youngest > self._now - days * _DAY_SECONDS:
            self.kept = entry
            return False
        if (entry.index + 1) % WIDTH == 0:
            self.below, self.newest = entry.index + 1, self._youngest_time
        return True
