"""The platform without its sockets: every answer follows its schema, and a body that contradicts itself is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.sandbox.cast import GATEWAY_ID, PLATFORM_ID
from adapters.sandbox.envelopes import Envelopes
from adapters.sandbox.evidence import EvidenceBook, Refused
from adapters.sandbox.faults import Faults
from adapters.sandbox.journal import Journal
from adapters.sandbox.ledger import Ledger
from adapters.sandbox.platform import DvpPlatform, Member
from adapters.sandbox.signing import KeySigner, jwks
from adapters.sandbox.source import IssuingSource
from gateway.core.digest import digests_of
from gateway.profiles.dvp_v1 import envelope
from gateway.profiles.dvp_v1.messages import digests_body
from gateway.profiles.dvp_v1.signature import key_set
from tests.fakes import FakeClock
from tests.fakes_sandbox import DOCUMENT, DOCUMENT_TYPE, ISSUER_ID, VALIDATORS, message, question

SIGNER, SOURCE = KeySigner.create("gateway-1"), KeySigner.create("source-1")
DIGESTS = digests_of(DOCUMENT)


class Bench:
    """A platform with one gateway and one source as members."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.changes = 0
        self.platform_signer = KeySigner.create("platform-1")
        self.members = {
            GATEWAY_ID: (SIGNER, Member(participant_id=GATEWAY_ID, keys=key_set(jwks([SIGNER])))),
            ISSUER_ID: (SOURCE, Member(participant_id=ISSUER_ID, keys=key_set(jwks([SOURCE])))),
        }
        self.book = EvidenceBook(
            Ledger(folder, KeySigner.create("ledger-1")),
            entitlements={ISSUER_ID: frozenset({DOCUMENT_TYPE})},
            issuer_signed=lambda _issuer, _statement, _signature: True,
            voucher_key=b"v" * 32,
        )
        self.platform = DvpPlatform(
            envelopes=Envelopes(
                sender=PLATFORM_ID, signer=self.platform_signer, false_signer=KeySigner.create("platform-1")
            ),
            book=self.book,
            journal=Journal(folder / "journal.jsonl"),
            faults=Faults(),
            validators=VALIDATORS,
            clock=self.clock,
            changed=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    async def ask(self, message_type: str, body: dict[str, Any], sender: str = GATEWAY_ID) -> envelope.Envelope:
        """The answer, after the same checks as at the gateway (its schema among them)."""
        signer, member = self.members[sender]
        now = int(self.clock.now())
        asked = message(message_type, body, sender=sender, issued_at=now, expires_at=now + 60)
        reply = await self.platform.answer(envelope.seal(asked, signer).encode(), member, traceparent=None)
        return envelope.unseal(
            reply.token,
            keys=key_set(jwks([self.platform_signer])),
            sender=PLATFORM_ID,
            receiver=sender,
            now=self.clock.now(),
            validators=VALIDATORS,
        )

    def registration(self) -> dict[str, Any]:
        source = IssuingSource(participant_id=ISSUER_ID, signer=SOURCE)
        return source.registration(document_type=DOCUMENT_TYPE, digests=DIGESTS, valid_until=1_800_000_100)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_source_registers_and_revokes_its_evidence(bench: Bench) -> None:
    registration = bench.registration()
    receipt = await bench.ask("EvidenceRegistration", registration, ISSUER_ID)
    assert (receipt.message_type, receipt.body["status"]) == ("EvidenceReceipt", "PENDING_CHAIN")
    revocation = {"evidenceId": registration["evidenceId"], "reason": "ISSUED_IN_ERROR", "revokedAt": 1}
    assert (await bench.ask("EvidenceRevocation", revocation, ISSUER_ID)).message_type == "Ack"
    assert bench.changes == 2
    assert [revoked["evidenceId"] for revoked in bench.book.revocations] == [registration["evidenceId"]]


async def test_every_answer_to_a_question_follows_its_schema(bench: Bench) -> None:
    registration = bench.registration()
    await bench.ask("EvidenceRegistration", registration, ISSUER_ID)
    outcomes = []
    for step in ("pending", "match", "expired", "revoked"):
        if step == "match":
            bench.book.make_block(now=int(bench.clock.now()))
        elif step == "expired":
            bench.clock.advance(100)
        elif step == "revoked":
            revocation = {"evidenceId": registration["evidenceId"], "reason": "OTHER", "revokedAt": 1}
            await bench.ask("EvidenceRevocation", revocation, ISSUER_ID)
        answer = await bench.ask("VerificationRequest", question(digests_body(DIGESTS)).body)
        outcomes.append(answer.body["outcome"])
    assert outcomes == ["INDETERMINATE", "MATCH", "EXPIRED", "REVOKED"]


async def test_two_digests_of_one_algorithm_are_refused(bench: Bench) -> None:
    twice = [{"algorithm": "SM3", "value": "0" * 64}, {"algorithm": "SM3", "value": "1" * 64}]
    answer = await bench.ask("VerificationRequest", question(twice).body)
    assert (answer.message_type, answer.body["code"]) == ("ErrorResponse", "BODY_SCHEMA")


async def test_a_message_that_the_platform_does_not_serve_is_refused(bench: Bench) -> None:
    answer = await bench.ask("SourceAvailability", {"issuerId": ISSUER_ID, "available": True})
    assert (answer.message_type, answer.body["code"]) == ("ErrorResponse", "MESSAGE_NOT_SERVED")


def test_there_is_no_receipt_for_unknown_evidence(bench: Bench) -> None:
    with pytest.raises(Refused, match="NOT_REGISTERED"):
        bench.platform.receipt("nothing")
