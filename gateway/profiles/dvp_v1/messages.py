"""Bodies of `dvp/v1` messages to values of the model, and back. The envelope has checked them against their schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.model import (
    ChainProof,
    ChainReference,
    Digest,
    Evidence,
    EvidenceStatus,
    HashAlgorithm,
    Outcome,
    Reason,
)
from gateway.core.verification import Answer, Question
from gateway.profiles.dvp_v1.envelope import Envelope, EnvelopeError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedQuestion:
    """A `VerificationRequest` as its receiver sees it. No `Question`: only a consent here makes one of those."""

    request_id: str
    document_type: str
    issuer_id: str
    digests: tuple[Digest, ...]
    voucher: str | None
    consent_hash_key: str
    consent_purpose: str
    consent_expire_time: int
    requester: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An `ErrorResponse`: the platform is there and does not answer. Says nothing about the document."""

    code: str
    retryable: bool
    retry_after_seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRevocation:
    evidence_id: str
    reason: str  # a code of revocation-reason
    revoked_at: int


def question_body(question: Question) -> dict[str, Any]:
    """`VerificationRequest`. Nothing in it says who the data owner is."""
    body: dict[str, Any] = {
        "requestId": question.request_id,
        "documentType": question.document_type,
        "issuerId": question.document.issuer_id,
        "digests": digests_body(question.document.digests),
        "consent": {
            "hashKey": question.consent_hash_key,
            "purpose": question.consent_purpose,
            "expireTime": question.consent_expire_time,
        },
        "requester": question.requester,
    }
    if question.voucher is not None:
        body["voucher"] = question.voucher
    return body


def question_from(body: Mapping[str, Any]) -> ReceivedQuestion:
    consent = body["consent"]
    return ReceivedQuestion(
        request_id=body["requestId"],
        document_type=body["documentType"],
        issuer_id=body["issuerId"],
        digests=digests_from(body["digests"]),
        voucher=body.get("voucher"),
        consent_hash_key=consent["hashKey"],
        consent_purpose=consent["purpose"],
        consent_expire_time=consent["expireTime"],
        requester=body["requester"],
    )


def answer_body(answer: Answer, *, request_id: str) -> dict[str, Any]:
    """`VerificationResult`."""
    body: dict[str, Any] = {
        "requestId": request_id,
        "outcome": answer.outcome.value,
        "checkedAt": answer.checked_at,
    }
    if answer.reason is not None:
        body["reason"] = answer.reason.value
    if answer.evidence is not None:
        body["evidence"] = evidence_body(answer.evidence)
    return body


def answer_from(envelope: Envelope, *, asked: Question, in_reply_to: str) -> Answer | Refusal:
    """What the platform says to this question. `in_reply_to` is the message id that carried the question.

    An `Ack` is an answer that nothing is known yet. Raises EnvelopeError REFERENCE for an answer to something else,
    and TYPE for a message that answers no question.
    """
    if envelope.in_reply_to != in_reply_to:
        raise EnvelopeError("REFERENCE")
    body = envelope.body
    if envelope.message_type == "ErrorResponse":
        return Refusal(code=body["code"], retryable=body["retryable"], retry_after_seconds=body.get("retryAfter"))
    if envelope.message_type == "Ack":
        return Answer(
            outcome=Outcome.INDETERMINATE,
            reason=Reason.PENDING_ON_CHAIN,
            evidence=None,
            checked_at=envelope.issued_at,
        )
    if envelope.message_type != "VerificationResult":
        raise EnvelopeError("TYPE")
    if body["requestId"] != asked.request_id:
        raise EnvelopeError("REFERENCE")
    return Answer(
        outcome=Outcome(body["outcome"]),
        reason=Reason(body["reason"]) if "reason" in body else None,
        evidence=evidence_from(body["evidence"]) if "evidence" in body else None,
        checked_at=body["checkedAt"],
    )


def evidence_body(evidence: Evidence) -> dict[str, Any]:
    chain = evidence.chain
    reference: dict[str, Any] = {
        "system": chain.system,
        "group": chain.group,
        "contract": chain.contract,
        "transactionHash": chain.transaction_hash,
        "blockNumber": chain.block_number,
    }
    if chain.proof is not None:
        reference["proof"] = {
            "leafIndex": chain.proof.leaf_index,
            "treeSize": chain.proof.tree_size,
            "path": [sibling.hex() for sibling in chain.proof.path],
            "header": chain.proof.header,
        }
    body: dict[str, Any] = {
        "evidenceId": evidence.evidence_id,
        "issuerId": evidence.issuer_id,
        "digests": digests_body(evidence.digests),
        "anchoredAt": evidence.anchored_at,
        "status": evidence.status.value,
        "statusAt": evidence.status_at,
        "issuerSignature": evidence.issuer_signature,
        "chain": reference,
    }
    if evidence.valid_until is not None:
        body["validUntil"] = evidence.valid_until
    return body


def evidence_from(body: Mapping[str, Any]) -> Evidence:
    """Raises EnvelopeError SCHEMA for two digests of one algorithm."""
    chain = body["chain"]
    return Evidence(
        evidence_id=body["evidenceId"],
        issuer_id=body["issuerId"],
        digests=digests_from(body["digests"]),
        anchored_at=body["anchoredAt"],
        valid_until=body.get("validUntil"),
        status=EvidenceStatus(body["status"]),
        status_at=body["statusAt"],
        issuer_signature=body["issuerSignature"],
        chain=ChainReference(
            system=chain["system"],
            group=chain["group"],
            contract=chain["contract"],
            transaction_hash=chain["transactionHash"],
            block_number=chain["blockNumber"],
            proof=_proof(chain["proof"]) if "proof" in chain else None,
        ),
    )


def revocation_from(body: Mapping[str, Any]) -> EvidenceRevocation:
    return EvidenceRevocation(evidence_id=body["evidenceId"], reason=body["reason"], revoked_at=body["revokedAt"])


def ack_body() -> dict[str, Any]:
    """`Ack`: received and understood."""
    return {"code": "ACCEPTED", "retryable": False}


def error_body(code: str, *, retryable: bool, retry_after_seconds: int | None = None) -> dict[str, Any]:
    """`ErrorResponse`. `code` is a bounded name in capitals, never a text."""
    body: dict[str, Any] = {"code": code, "retryable": retryable}
    if retry_after_seconds is not None:
        body["retryAfter"] = retry_after_seconds
    return body


def digests_body(digests: Iterable[Digest]) -> list[dict[str, str]]:
    return [{"algorithm": digest.algorithm.value, "value": digest.value} for digest in digests]


def digests_from(body: Iterable[Mapping[str, str]]) -> tuple[Digest, ...]:
    """Raises EnvelopeError SCHEMA for two digests of one algorithm: which one counts would be a guess."""
    digests = tuple(Digest(algorithm=HashAlgorithm(item["algorithm"]), value=item["value"]) for item in body)
    if len({digest.algorithm for digest in digests}) != len(digests):
        raise EnvelopeError("SCHEMA")
    return digests


def _proof(body: Mapping[str, Any]) -> ChainProof:
    return ChainProof(
        leaf_index=body["leafIndex"],
        tree_size=body["treeSize"],
        path=tuple(bytes.fromhex(sibling) for sibling in body["path"]),
        header=body["header"],
    )
