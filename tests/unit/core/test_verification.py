"""The table of outcomes, row by row, and what a platform's lie becomes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.consent import Consented
from gateway.core.model import (
    ChainReference,
    Consent,
    ConsentStatus,
    DataScope,
    Digest,
    Document,
    Evidence,
    EvidenceStatus,
    Fact,
    HashAlgorithm,
    Outcome,
    Reason,
    Verdict,
)
from gateway.core.verification import Answer, Question, Silence, Trust, judge, question

NOW = 1_800_000_000
SM3 = Digest(algorithm=HashAlgorithm.SM3, value="a" * 64)
SHA256 = Digest(algorithm=HashAlgorithm.SHA256, value="b" * 64)
OTHER = Digest(algorithm=HashAlgorithm.SM3, value="c" * 64)

ASKED = Question(
    request_id="r-1",
    document_type="CORPORATE_CREDIT_REPORT",
    document=Document(issuer_id="SZCREDIT01DP", digests=(SM3,)),
    voucher=None,
    consent_hash_key="d" * 64,
    consent_purpose="SME_LOAN_UNDERWRITING",
    consent_expire_time=NOW + 1000,
    requester="BANKA01DC",
)
WITH_VOUCHER = replace(ASKED, voucher="v-1")
EVIDENCE = Evidence(
    evidence_id="e-1",
    issuer_id="SZCREDIT01DP",
    digests=(SM3, SHA256),
    anchored_at=NOW - 100,
    valid_until=None,
    status=EvidenceStatus.ANCHORED,
    status_at=NOW - 100,
    issuer_signature="h..s",
    chain=ChainReference(system="s", group="g", contract="c", transaction_hash="e" * 64, block_number=7),
)
GOOD = Trust(
    entitled=lambda issuer, document_type: issuer == "SZCREDIT01DP" and document_type == "CORPORATE_CREDIT_REPORT",
    issuer_key_known=lambda issuer, signature: True,
    issuer_signed=lambda issuer, statement, signature: True,
    provable=lambda chain: True,
    anchored=lambda chain, leaf: True,
)


def said(outcome: Outcome, evidence: Evidence | None = EVIDENCE, reason: Reason | None = None) -> Answer:
    return Answer(outcome=outcome, reason=reason, evidence=evidence, checked_at=NOW)


def verdict(answer: Answer | Silence, asked: Question = ASKED, trust: Trust = GOOD) -> Verdict:
    return judge(asked, answer, trust, now=NOW)


def facts(found: Verdict) -> tuple[Fact, Fact, Fact]:
    return found.integrity, found.status, found.issuer


def test_evidence_in_force_with_an_equal_digest_is_a_match() -> None:
    found = verdict(said(Outcome.MATCH))
    assert found.outcome is Outcome.MATCH
    assert facts(found) == (Fact.VALID, Fact.VALID, Fact.VALID)
    assert found.evidence == EVIDENCE


def test_another_digest_under_the_voucher_is_a_mismatch() -> None:
    found = verdict(said(Outcome.MISMATCH, replace(EVIDENCE, digests=(OTHER,))), WITH_VOUCHER)
    assert found.outcome is Outcome.MISMATCH
    assert facts(found) == (Fact.INVALID, Fact.VALID, Fact.VALID)


def test_a_mismatch_cannot_be_said_where_only_a_digest_was_asked() -> None:
    found = verdict(said(Outcome.MISMATCH, replace(EVIDENCE, digests=(OTHER,))))
    assert (found.outcome, found.reason, found.alarm) == (Outcome.INDETERMINATE, Reason.ANSWER_UNTRUSTED, True)


def test_a_bare_match_without_evidence_is_not_believed() -> None:
    found = verdict(said(Outcome.MATCH, None))
    assert (found.outcome, found.reason) == (Outcome.INDETERMINATE, Reason.ANSWER_UNTRUSTED)


@pytest.mark.parametrize("outcome", [Outcome.REVOKED, Outcome.EXPIRED, Outcome.MISMATCH, Outcome.SUPERSEDED])
def test_a_bare_negative_without_evidence_is_not_believed(outcome: Outcome) -> None:
    assert verdict(said(outcome, None)).reason is Reason.ANSWER_UNTRUSTED


def test_nothing_found_is_not_registered_and_says_nothing_more() -> None:
    found = verdict(said(Outcome.NOT_REGISTERED, None))
    assert found.outcome is Outcome.NOT_REGISTERED
    assert facts(found) == (Fact.UNKNOWN, Fact.UNKNOWN, Fact.UNKNOWN)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (EvidenceStatus.REVOKED, Outcome.REVOKED),
        (EvidenceStatus.SUPERSEDED, Outcome.SUPERSEDED),
        (EvidenceStatus.EXPIRED, Outcome.EXPIRED),
    ],
)
def test_evidence_no_longer_in_force_keeps_its_integrity(status: EvidenceStatus, outcome: Outcome) -> None:
    found = verdict(said(outcome, replace(EVIDENCE, status=status)))
    assert found.outcome is outcome
    assert facts(found) == (Fact.VALID, Fact.INVALID, Fact.VALID)


def test_validity_that_ended_by_our_clock_is_expired_though_the_platform_said_match() -> None:
    found = verdict(said(Outcome.MATCH, replace(EVIDENCE, valid_until=NOW)))
    assert (found.outcome, found.status) == (Outcome.EXPIRED, Fact.INVALID)


def test_a_platform_that_says_revoked_of_evidence_in_force_contradicts_itself() -> None:
    assert verdict(said(Outcome.REVOKED)).reason is Reason.ANSWER_UNTRUSTED


def test_a_platform_that_says_match_of_revoked_evidence_contradicts_itself() -> None:
    assert (
        verdict(said(Outcome.MATCH, replace(EVIDENCE, status=EvidenceStatus.REVOKED))).reason is Reason.ANSWER_UNTRUSTED
    )


def test_evidence_of_an_issuer_that_may_not_issue_this_is_untrusted() -> None:
    nobody = replace(GOOD, entitled=lambda issuer, document_type: False)
    found = verdict(said(Outcome.MATCH), trust=nobody)
    assert (found.outcome, found.issuer) == (Outcome.ISSUER_UNTRUSTED, Fact.INVALID)


def test_evidence_of_another_issuer_than_asked_is_untrusted() -> None:
    found = verdict(said(Outcome.MATCH, replace(EVIDENCE, issuer_id="OTHER01DP")))
    assert found.outcome is Outcome.ISSUER_UNTRUSTED


def test_a_wrong_issuer_signature_is_an_alarm_and_not_a_match() -> None:
    found = verdict(said(Outcome.MATCH), trust=replace(GOOD, issuer_signed=lambda *_: False))
    assert (found.outcome, found.issuer, found.alarm) == (Outcome.SIGNATURE_INVALID, Fact.INVALID, True)


def test_a_wrong_chain_proof_is_an_alarm_and_leaves_the_issuer_valid() -> None:
    found = verdict(said(Outcome.MATCH), trust=replace(GOOD, anchored=lambda *_: False))
    assert (found.outcome, found.issuer, found.alarm) == (Outcome.SIGNATURE_INVALID, Fact.VALID, True)


@pytest.mark.parametrize(
    "trust",
    [
        replace(GOOD, issuer_key_known=lambda *_: False, issuer_signed=lambda *_: False),
        replace(GOOD, provable=lambda *_: False, anchored=lambda *_: False),
    ],
    ids=["issuer key", "ledger key or proof"],
)
def test_what_we_have_no_key_for_is_neither_believed_nor_called_false(trust: Trust) -> None:
    found = verdict(said(Outcome.MATCH), trust=trust)
    assert (found.outcome, found.reason, found.alarm) == (Outcome.INDETERMINATE, Reason.ANSWER_UNTRUSTED, True)
    assert facts(found) == (Fact.UNKNOWN, Fact.UNKNOWN, Fact.UNKNOWN)


def test_the_issuer_is_asked_about_the_statement_with_the_asked_document_type() -> None:
    seen: list[bytes] = []
    trust = replace(GOOD, issuer_signed=lambda issuer, statement, signature: bool(seen.append(statement)) or True)
    verdict(said(Outcome.MATCH), trust=trust)
    assert b'"documentType":"CORPORATE_CREDIT_REPORT"' in seen[0]
    assert b'"evidenceId":"e-1"' in seen[0]


@pytest.mark.parametrize("status", [EvidenceStatus.SUBMITTED, EvidenceStatus.PENDING_CHAIN])
def test_evidence_that_is_not_on_chain_yet_is_pending(status: EvidenceStatus) -> None:
    found = verdict(said(Outcome.MATCH, replace(EVIDENCE, status=status)))
    assert (found.outcome, found.reason, found.alarm) == (Outcome.INDETERMINATE, Reason.PENDING_ON_CHAIN, False)


def test_evidence_that_failed_to_anchor_is_no_evidence() -> None:
    assert (
        verdict(said(Outcome.MATCH, replace(EVIDENCE, status=EvidenceStatus.FAILED))).reason is Reason.ANSWER_UNTRUSTED
    )


def test_no_common_algorithm_is_unsupported() -> None:
    found = verdict(said(Outcome.ALGORITHM_UNSUPPORTED, replace(EVIDENCE, digests=(SHA256,))), WITH_VOUCHER)
    assert (found.outcome, found.integrity) == (Outcome.ALGORITHM_UNSUPPORTED, Fact.UNKNOWN)


def test_one_of_two_digests_that_differs_is_no_match() -> None:
    asked = replace(WITH_VOUCHER, document=replace(ASKED.document, digests=(SM3, SHA256)))
    held = replace(EVIDENCE, digests=(SM3, replace(SHA256, value="f" * 64)))
    assert verdict(said(Outcome.MISMATCH, held), asked).outcome is Outcome.MISMATCH


@pytest.mark.parametrize("reason", list(Reason))
def test_silence_is_indeterminate_with_its_reason_and_no_fact(reason: Reason) -> None:
    found = verdict(Silence(reason=reason))
    assert (found.outcome, found.reason) == (Outcome.INDETERMINATE, reason)
    assert facts(found) == (Fact.UNKNOWN, Fact.UNKNOWN, Fact.UNKNOWN)
    assert not found.outcome.final


def test_the_platforms_own_indeterminate_keeps_its_reason() -> None:
    found = verdict(said(Outcome.INDETERMINATE, None, Reason.SOURCE_UNAVAILABLE))
    assert found.reason is Reason.SOURCE_UNAVAILABLE


def test_a_question_asks_what_the_consent_covers() -> None:
    consent = Consent(
        consent_id="c-1",
        consumer_id="BANKA01DC",
        consumer_name="Bank A",
        provider_id="SZCREDIT01DP",
        provider_name="Source",
        type="ConsentTypeSignedDocNotRequired",
        scope=DataScope(scope_type="DataScopeTypeUDR", document_type="CORPORATE_CREDIT_REPORT"),
        purpose="SME_LOAN_UNDERWRITING",
        hash_key="d" * 64,
        subject="s",
        status=ConsentStatus.VALID,
        expire_time=NOW + 1000,
        max_uses=1,
    )
    scope = DataScope(scope_type="DataScopeTypeUDR", document_type="CORPORATE_CREDIT_REPORT", udr="v-1")
    proof = Consented(consent=consent, scope=scope, document=ASKED.document, checked_at=NOW)
    assert question(proof, request_id="r-1") == WITH_VOUCHER
