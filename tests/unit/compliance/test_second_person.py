from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.compliance import approval, erasing
from gateway.compliance.approval import ApprovalRefused, Approver
from gateway.compliance.second_person import ApprovalNeeded, SecondPerson
from tests.compliance_desk import OPERATOR, OWNER
from tests.samples import NOW

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Spent:
    """`ports.Approvals` in memory."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    async def spend(self, approval_id: str, *, now: float) -> bool:
        first = approval_id not in self.used
        self.used.add(approval_id)
        return first


def rule(*actions: str) -> SecondPerson:
    approvers = [Approver(name="officer-2", public_key=PUBLIC)]
    return SecondPerson(actions=actions, approvers=approvers, lifetime_seconds=3_600, approvals=Spent())


ASKED = erasing.asked(OPERATOR, "log.example", OWNER, "OWNER_REQUEST", NOW)
APPROVED = approval.approve(ASKED, "officer-2", PRIVATE, NOW, lifetime_seconds=3_600)


def test_approvers_with_one_key_are_refused() -> None:
    approvers = [Approver(name=name, public_key=PUBLIC) for name in ("officer-2", "officer-3")]
    with pytest.raises(ApprovalRefused, match="one key"):
        SecondPerson(actions=["erase"], approvers=approvers, lifetime_seconds=3_600, approvals=Spent())


async def test_an_act_for_one_person_needs_nobody() -> None:
    assert await rule("export").agrees(ASKED, None, NOW) is None


async def test_an_act_for_two_people_stops_with_what_to_hand_over() -> None:
    with pytest.raises(ApprovalNeeded) as needed:
        await rule("erase").agrees(ASKED, None, NOW)
    assert needed.value.asked == ASKED


async def test_an_approval_is_good_once() -> None:
    both = rule("erase")
    agreed = await both.agrees(
        erasing.asked(OPERATOR, "log.example", OWNER, "OWNER_REQUEST", NOW + 9), APPROVED, NOW + 10
    )
    assert agreed is not None
    assert agreed.approver == "officer-2"
    with pytest.raises(ApprovalRefused, match="used"):
        await both.agrees(ASKED, APPROVED, NOW + 10)


async def test_an_approval_of_something_else_is_refused_and_not_used_up() -> None:
    both = rule("erase")
    with pytest.raises(ApprovalRefused):
        await both.agrees(erasing.asked(OPERATOR, "log.example", "c" * 64, "OWNER_REQUEST", NOW), APPROVED, NOW)
    assert await both.agrees(ASKED, APPROVED, NOW) is not None
