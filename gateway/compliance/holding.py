"""Legal holds: what is set keeps a subject's key and the entries from an index on, until it is released.

Both acts are one transaction with their record.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.compliance import approval
from gateway.compliance.approval import Approval, Request
from gateway.compliance.erasing import REASON, SUBJECT
from gateway.compliance.operator import Operator
from gateway.ports import Hold, SubjectKeys

HOLD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A name of the operator's own, as a case number; never a person's name."""


async def hold(
    keys: SubjectKeys,
    operator: Operator,
    *,
    hold_id: str,
    reason: str,
    now: float,
    subject: str | None = None,
    from_index: int = 0,
) -> Hold:
    """Set a hold, with its record (`audit.held`). `subject` None: everybody. `from_index`: first index that it keeps.

    Raises StateConflict when the id is taken, ValueError for what is no id, code or pseudonym, AuditUnavailable.
    """
    if not HOLD_ID.fullmatch(hold_id) or not REASON.fullmatch(reason) or from_index < 0:
        raise ValueError("a hold has an id, a code as its reason, and an index")
    if subject is not None and not SUBJECT.fullmatch(subject):
        raise ValueError("a subject is a pseudonym of 64 hex digits")
    wanted = Hold(hold_id=hold_id, subject=subject, from_index=from_index, reason=reason, since=now)
    facts = {"hold": hold_id, "from": from_index}
    await keys.hold(wanted, operator.record(now, "audit.held", subject=subject, reason=reason, facts=facts))
    return wanted


def asked(operator: Operator, log: str, held: Hold, reason: str, now: float) -> Request:
    """What a second person approves: the release of this hold of this log, and not of a later one with its id."""
    what: dict[str, str | int] = {
        "log": log,
        "hold": held.hold_id,
        "since": datetime.fromtimestamp(held.since, UTC).isoformat(),
        "subject": held.subject or "everybody",
        "from": held.from_index,
        "reason": reason,
    }
    return approval.request("release", what, operator.name, now)


async def release(
    keys: SubjectKeys, operator: Operator, *, hold_id: str, reason: str, now: float, approved: Approval | None
) -> bool:
    """Lift a hold, with its record (`audit.released`). False, and no record, when there is none of this id.

    Raises ValueError for what is no id or code, AuditUnavailable.
    """
    if not HOLD_ID.fullmatch(hold_id) or not REASON.fullmatch(reason):
        raise ValueError("a hold has an id, and its release a code as its reason")
    facts: dict[str, str | int] = {"hold": hold_id, **(approved.facts if approved else {})}
    return await keys.release(hold_id, operator.record(now, "audit.released", reason=reason, facts=facts))
