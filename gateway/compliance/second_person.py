"""What one person alone may not do: the act goes on with the approval of a second one, which is used up by it.

What an approval says is checked in `approval`; who asks for one, and hands it over, is the command or console.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.compliance.approval import Approval, ApprovalRefused, Approver, Request, check_approvers, checked
from gateway.ports import Approvals


class ApprovalNeeded(Exception):
    """The act is one for two people. `asked`: what to hand over to the second."""

    def __init__(self, asked: Request) -> None:
        super().__init__("a second person must approve this")
        self.asked = asked


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPerson:
    """`actions`: which acts need an approval; see settings `audit.second_person`. Raises ApprovalRefused for approvers
    whose keys cannot be used, or are one."""

    actions: Collection[str]
    approvers: Sequence[Approver]
    lifetime_seconds: float
    approvals: Approvals

    def __post_init__(self) -> None:
        check_approvers(self.approvers)

    def needs(self, asked: Request, approval: str | None) -> None:
        """Raises ApprovalNeeded for an act that needs an approval and has none: before anything else is asked."""
        if approval is None and asked.action in self.actions:
            raise ApprovalNeeded(asked)

    async def agrees(self, asked: Request, approval: str | None, now: float) -> Approval | None:
        """The good approval of what is asked, used up from now on; None for an act that one person may do alone.

        Raises ApprovalNeeded without one, ApprovalRefused for one that does not fit or was used, AuditUnavailable.
        """
        found = self.check(asked, approval, now)
        # A crash after this line uses the approval up without the act: asking again is the lesser evil.
        if found is not None and not await self.approvals.spend(found.approval_id, now=now):
            raise ApprovalRefused("the approval was used before: ask anew")
        return found

    def check(self, asked: Request, approval: str | None, now: float) -> Approval | None:
        """As `agrees`, but nothing is used up: for an act that takes a while and may yet fail."""
        self.needs(asked, approval)
        if approval is None or asked.action not in self.actions:
            return None
        return checked(approval, asked, self.approvers, now, lifetime_seconds=self.lifetime_seconds)
