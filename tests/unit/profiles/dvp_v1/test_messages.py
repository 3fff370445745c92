from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.model import Digest, EvidenceStatus, HashAlgorithm, Outcome, Reason
from gateway.core.verification import Answer
from gateway.profiles.dvp_v1 import messages
from gateway.profiles.dvp_v1.envelope import Envelope, EnvelopeError
from tests.fakes_profiles import (
    DIGESTS,
    ISSUER,
    MESSAGE_ID,
    NOW,
    QUESTION,
    REQUEST_ID,
    KeySigner,
    evidence,
    validators,
)

EVIDENCE = evidence(KeySigner("issuer"), KeySigner("ledger"))
ASKED_IN = "0192f0c0-9999-7222-8333-444444444444"


def said(message_type: str, body: dict[str, Any], in_reply_to: str | None = ASKED_IN) -> Envelope:
    return Envelope(
        message_id=MESSAGE_ID,
        message_type=message_type,
        sender="DVPPLATFORM1",
        receiver="HKGATEWAY01",
        issued_at=NOW,
        expires_at=NOW + 120,
        nonce="bm9uY2Utbm9uY2UtMQ",
        in_reply_to=in_reply_to,
        body=body,
    )


def heard(envelope: Envelope) -> Answer | messages.Refusal:
    return messages.answer_from(envelope, asked=QUESTION, in_reply_to=ASKED_IN)


def test_question_says_what_is_asked_and_nothing_else() -> None:
    body = messages.question_body(QUESTION)
    validators().assert_valid("dvp/v1/verification-request", body)
    received = messages.question_from(body)
    assert (received.request_id, received.issuer_id, received.digests) == (REQUEST_ID, ISSUER, DIGESTS)
    assert (received.document_type, received.voucher) == (QUESTION.document_type, QUESTION.voucher)
    assert (received.consent_hash_key, received.consent_purpose, received.consent_expire_time, received.requester) == (
        QUESTION.consent_hash_key,
        QUESTION.consent_purpose,
        QUESTION.consent_expire_time,
        QUESTION.requester,
    )


def test_question_without_a_voucher_has_none() -> None:
    body = messages.question_body(replace(QUESTION, voucher=None))
    assert "voucher" not in body
    assert messages.question_from(body).voucher is None


@pytest.mark.parametrize(
    "answer",
    [
        Answer(outcome=Outcome.MATCH, reason=None, evidence=EVIDENCE, checked_at=NOW),
        Answer(outcome=Outcome.NOT_REGISTERED, reason=None, evidence=None, checked_at=NOW),
        Answer(outcome=Outcome.INDETERMINATE, reason=Reason.SOURCE_UNAVAILABLE, evidence=None, checked_at=NOW),
        Answer(
            outcome=Outcome.REVOKED,
            reason=None,
            evidence=replace(
                EVIDENCE,
                status=EvidenceStatus.REVOKED,
                valid_until=None,
                chain=replace(EVIDENCE.chain, proof=None),
            ),
            checked_at=NOW,
        ),
    ],
    ids=lambda answer: answer.outcome.value,
)
def test_answer_is_heard_as_it_was_said(answer: Answer) -> None:
    body = messages.answer_body(answer, request_id=REQUEST_ID)
    validators().assert_valid("dvp/v1/verification-result", body)
    assert heard(said("VerificationResult", body)) == answer


def test_acknowledgement_is_no_statement_about_the_document() -> None:
    body = messages.ack_body()
    validators().assert_valid("dvp/v1/ack", body)
    assert heard(said("Ack", body)) == Answer(
        outcome=Outcome.INDETERMINATE, reason=Reason.PENDING_ON_CHAIN, evidence=None, checked_at=NOW
    )


def test_error_of_the_platform_is_a_refusal() -> None:
    body = messages.error_body("SOURCE_UNAVAILABLE", retryable=True, retry_after_seconds=30)
    validators().assert_valid("dvp/v1/error-response", body)
    assert heard(said("ErrorResponse", body)) == messages.Refusal(
        code="SOURCE_UNAVAILABLE", retryable=True, retry_after_seconds=30
    )
    assert heard(said("ErrorResponse", messages.error_body("X", retryable=False))) == messages.Refusal(
        code="X", retryable=False, retry_after_seconds=None
    )


@pytest.mark.parametrize("in_reply_to", [None, MESSAGE_ID])
@pytest.mark.parametrize("message_type", ["VerificationResult", "Ack", "ErrorResponse"])
def test_answer_to_another_message_is_refused(message_type: str, in_reply_to: str | None) -> None:
    with pytest.raises(EnvelopeError, match="REFERENCE"):
        heard(said(message_type, {"code": "X", "retryable": False}, in_reply_to))


def test_answer_to_another_request_is_refused() -> None:
    answer = Answer(outcome=Outcome.MATCH, reason=None, evidence=EVIDENCE, checked_at=NOW)
    with pytest.raises(EnvelopeError, match="REFERENCE"):
        heard(said("VerificationResult", messages.answer_body(answer, request_id=MESSAGE_ID)))


def test_message_that_answers_no_question_is_refused() -> None:
    with pytest.raises(EnvelopeError, match="TYPE"):
        heard(said("EvidenceStatusQuery", {"evidenceId": "EV-0001"}))


def test_evidence_with_two_digests_of_one_algorithm_is_refused() -> None:
    twice = replace(EVIDENCE, digests=(DIGESTS[0], Digest(algorithm=HashAlgorithm.SM3, value="00" * 32)))
    with pytest.raises(EnvelopeError, match="SCHEMA"):
        messages.evidence_from(messages.evidence_body(twice))


def test_revocation_is_read() -> None:
    body = {"evidenceId": "EV-0001", "reason": "FRAUD_SUSPECTED", "revokedAt": NOW}
    validators().assert_valid("dvp/v1/evidence-revocation", body)
    assert messages.revocation_from(body) == messages.EvidenceRevocation(
        evidence_id="EV-0001", reason="FRAUD_SUSPECTED", revoked_at=NOW
    )
