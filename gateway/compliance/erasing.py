"""Erasing a data owner: their key is destroyed, and the record of it is one transaction with that.

What was sealed under the key is unreadable from then on, for everybody; no byte of the log changes, so every proof and
receipt stays valid. What entries say in public stays: institutions, times, outcomes, and the owner's pseudonym.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gateway.compliance import approval
from gateway.compliance.approval import Approval, Request
from gateway.compliance.operator import Operator
from gateway.ports import AuditLog, LogReader, SearchIndex, SubjectKeys

REASON = re.compile(r"[A-Z][A-Z0-9_.-]{1,63}")
"""A code of the operator's own (`OWNER_REQUEST`, a case number), never free text."""
SUBJECT = re.compile(r"[0-9a-f]{64}")

_PAGE = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """`entries`: that are about the subject. `sealed`: of these, how many have something that becomes unreadable.
    `holds`: ids of the legal holds that forbid it."""

    entries: int
    sealed: int
    holds: tuple[str, ...]


async def concerned(
    log: LogReader, keys: SubjectKeys, subject: str, *, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> Concerned:
    """What an erasure would meet. Looks through the whole log, since the index may lag; `progress(done, of)`."""
    # In RFC 8785 there is one way to write this member, and no other member of an entry is called so.
    mark, sealed_mark = b'"subject":"%b"' % subject.encode("ascii"), b'"sealed":{'
    head = await log.head()
    entries = sealed = 0
    place = head.pruned
    while place < head.size and (page := await log.entries(place, min(_PAGE, head.size - place))):
        for stored in page:
            if stored.entry is not None and mark in stored.entry:
                entries += 1
                sealed += sealed_mark in stored.entry
        place += len(page)
        progress(place - head.pruned, head.size - head.pruned)
    holds = tuple(hold.hold_id for hold in await keys.holds() if hold.subject in {None, subject})
    return Concerned(entries=entries, sealed=sealed, holds=holds)


async def looked(log: AuditLog, operator: Operator, subject: str, found: Concerned, *, now: float) -> None:
    """Put on record that somebody saw what an erasure would meet: before it is shown, also when nothing is erased.
    Raises AuditUnavailable."""
    await log.append([operator.record(now, "audit.read", subject=subject, count=found.entries, facts={"act": "erase"})])


def asked(operator: Operator, log: str, subject: str, reason: str, now: float) -> Request:
    """What a second person approves: that it is good for this log alone, too."""
    return approval.request("erase", {"log": log, "subject": subject, "reason": reason}, operator.name, now)


async def erase(
    keys: SubjectKeys,
    index: SearchIndex,
    operator: Operator,
    *,
    subject: str,
    reason: str,
    now: float,
    approved: Approval | None,
) -> bool:
    """Destroy the subject's key, with its record (`audit.erased`). False, and no record, when there was no key: erased
    before, or never known. Raises StateConflict while a hold is on the subject, ValueError for what is no pseudonym or
    no code, AuditUnavailable."""
    if not SUBJECT.fullmatch(subject) or not REASON.fullmatch(reason):
        raise ValueError("a subject is a pseudonym of 64 hex digits, a reason is a code")
    record = operator.record(
        now, "audit.erased", subject=subject, reason=reason, facts=approved.facts if approved else None
    )
    erased = await keys.erase(subject, record)
    # kill -9 before this line: the index drops the digests when it comes to the record. They are keyed pseudonyms, and
    # lead only those who have the document to its entries. Done in any case, so that a repeat mends it too.
    await index.forget_digests(subject)
    return erased
