"""The question to DVP and the judgement of its answer: the README's table of outcomes as a pure function.

The platform's word is compared with what its evidence proves. An outage, a contradiction or an unverifiable answer
is INDETERMINATE and never a statement about the document.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.consent import Consented
from gateway.core.evidence import ledger_leaf, statement
from gateway.core.model import (
    ChainReference,
    Document,
    Evidence,
    EvidenceStatus,
    Fact,
    Outcome,
    Reason,
    Verdict,
)

_NOT_IN_FORCE = {
    EvidenceStatus.REVOKED: Outcome.REVOKED,
    EvidenceStatus.SUPERSEDED: Outcome.SUPERSEDED,
    EvidenceStatus.EXPIRED: Outcome.EXPIRED,
}
_NOT_ON_CHAIN_YET = frozenset({EvidenceStatus.SUBMITTED, EvidenceStatus.PENDING_CHAIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to the platform. Made by `question` alone, which takes a `Consented`."""

    request_id: str
    document_type: str
    document: Document
    voucher: str | None
    consent_hash_key: str
    consent_purpose: str
    consent_expire_time: int
    requester: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An authentic answer of the platform: envelope, freshness and reference were checked by the adapter."""

    outcome: Outcome
    reason: Reason | None
    evidence: Evidence | None
    checked_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """No answer that could be used, and why. Says nothing about the document."""

    reason: Reason
    alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What judging needs of the outside, as pure functions over keys and the registry.

    `entitled(issuer_id, document_type)`; `issuer_key_known(issuer_id, detached_jws)`: we have the key that it names;
    `issuer_signed(issuer_id, statement, detached_jws)`; `provable(chain)`: it brings a proof that we have the keys for;
    `anchored(chain, leaf)`: the chain reference proves that the ledger holds this leaf.
    """

    entitled: Callable[[str, str], bool]
    issuer_key_known: Callable[[str, str], bool]
    issuer_signed: Callable[[str, bytes, str], bool]
    provable: Callable[[ChainReference], bool]
    anchored: Callable[[ChainReference, bytes], bool]


def question(consented: Consented, *, request_id: str) -> Question:
    """The only way to a question: what it asks is what the consent covers."""
    return Question(
        request_id=request_id,
        document_type=consented.scope.document_type,
        document=consented.document,
        voucher=consented.scope.udr,
        consent_hash_key=consented.consent.hash_key,
        consent_purpose=consented.consent.purpose,
        consent_expire_time=consented.consent.expire_time,
        requester=consented.consent.consumer_id,
    )


def judge(asked: Question, answer: Answer | Silence, trust: Trust, *, now: int) -> Verdict:
    """The verdict on one answer. Contradictions are ANSWER_UNTRUSTED with an alarm."""
    if isinstance(answer, Silence):
        return _indeterminate(answer.reason, now, alarm=answer.alarm)
    if answer.outcome is Outcome.INDETERMINATE:
        return _indeterminate(answer.reason or Reason.REGISTRY_UNAVAILABLE, now)
    if answer.evidence is None:
        # Without evidence only an absence can be said; anything else would be the platform's bare word.
        if answer.outcome in {Outcome.NOT_REGISTERED, Outcome.ALGORITHM_UNSUPPORTED}:
            return Verdict(outcome=answer.outcome, checked_at=now)
        return _untrusted(now)
    return _judge_evidence(asked, answer, answer.evidence, trust, now=now)


def _judge_evidence(asked: Question, answer: Answer, evidence: Evidence, trust: Trust, *, now: int) -> Verdict:
    integrity = _integrity(asked.document, evidence)
    if integrity is Fact.INVALID and asked.voucher is None:
        return _untrusted(now)  # evidence of another document, though nothing but the digest was asked
    if evidence.issuer_id != asked.document.issuer_id or not trust.entitled(evidence.issuer_id, asked.document_type):
        return Verdict(
            outcome=Outcome.ISSUER_UNTRUSTED,
            integrity=integrity,
            issuer=Fact.INVALID,
            evidence=evidence,
            checked_at=now,
        )
    signed = statement(
        evidence_id=evidence.evidence_id,
        document_type=asked.document_type,
        issuer_id=evidence.issuer_id,
        digests=evidence.digests,
        valid_until=evidence.valid_until,
    )
    # A key that was rolled over, or a ledger that we cannot check, says nothing about the document.
    if not trust.issuer_key_known(evidence.issuer_id, evidence.issuer_signature):
        return _untrusted(now)
    if not trust.issuer_signed(evidence.issuer_id, signed, evidence.issuer_signature):
        return _does_not_hold(integrity, Fact.INVALID, evidence, now)
    if evidence.status is EvidenceStatus.FAILED:
        return _untrusted(now)  # what never came on chain is no evidence, yet it was given as such
    if evidence.status in _NOT_ON_CHAIN_YET:
        return _indeterminate(Reason.PENDING_ON_CHAIN, now)
    if not trust.provable(evidence.chain):
        return _untrusted(now)
    leaf = ledger_leaf(statement_bytes=signed, issuer_signature=evidence.issuer_signature)
    if not trust.anchored(evidence.chain, leaf):
        return _does_not_hold(integrity, Fact.VALID, evidence, now)
    computed, status = _in_force(evidence, now)
    if integrity is Fact.UNKNOWN:
        computed = Outcome.ALGORITHM_UNSUPPORTED
    elif integrity is Fact.INVALID:
        computed = Outcome.MISMATCH
    # The platform's clock may be behind ours at the end of a validity; every other difference is a contradiction.
    if computed is not answer.outcome and not (computed is Outcome.EXPIRED and answer.outcome is Outcome.MATCH):
        return _untrusted(now)
    return Verdict(
        outcome=computed,
        integrity=integrity,
        status=status,
        issuer=Fact.VALID,
        evidence=evidence,
        checked_at=now,
    )


def _integrity(document: Document, evidence: Evidence) -> Fact:
    """VALID when every algorithm that both sides have agrees; UNKNOWN when they share none."""
    held = {digest.algorithm: digest.value for digest in evidence.digests}
    shared = [held[digest.algorithm] == digest.value for digest in document.digests if digest.algorithm in held]
    if not shared:
        return Fact.UNKNOWN
    return Fact.VALID if all(shared) else Fact.INVALID


def _in_force(evidence: Evidence, now: int) -> tuple[Outcome, Fact]:
    if evidence.status in _NOT_IN_FORCE:
        return _NOT_IN_FORCE[evidence.status], Fact.INVALID
    if evidence.valid_until is not None and evidence.valid_until <= now:
        return Outcome.EXPIRED, Fact.INVALID
    return Outcome.MATCH, Fact.VALID


def _does_not_hold(integrity: Fact, issuer: Fact, evidence: Evidence, now: int) -> Verdict:
    return Verdict(
        outcome=Outcome.SIGNATURE_INVALID,
        integrity=integrity,
        issuer=issuer,
        evidence=evidence,
        checked_at=now,
        alarm=True,
    )


def _untrusted(now: int) -> Verdict:
    return _indeterminate(Reason.ANSWER_UNTRUSTED, now, alarm=True)


def _indeterminate(reason: Reason, now: int, *, alarm: bool = False) -> Verdict:
    return Verdict(outcome=Outcome.INDETERMINATE, reason=reason, checked_at=now, alarm=alarm)
