"""The platform's evidence: registered once, found by digest or voucher, revoked or superseded, rebuilt from the ledger.

No wire format here, and no keys of the platform's messages.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapters.sandbox.ledger import Block, Ledger, Transaction, digests_of, statement_of
from gateway.core.model import ChainReference, Digest, Evidence, EvidenceStatus, HashAlgorithm, Outcome, Reason

IssuerSigned = Callable[[str, bytes, str], bool]
"""`(issuer_id, statement, detached_jws)`, as in `gateway.core.verification.Trust`."""


class Refused(Exception):
    """The platform does not do this; the text is a reason code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """One piece of evidence as the platform knows it. `chain` is None until its block is made."""

    evidence_id: str
    document_type: str
    issuer_id: str
    digests: tuple[Digest, ...]
    valid_until: int | None
    issuer_signature: str
    status: EvidenceStatus
    status_at: int
    anchored_at: int = 0
    chain: ChainReference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the platform says about a document."""

    outcome: Outcome
    reason: Reason | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked about: by digests alone, or also by voucher."""

    issuer_id: str
    document_type: str
    digests: tuple[Digest, ...]
    voucher: str | None = None


_Key = tuple[str, str, HashAlgorithm, str]


class EvidenceBook:
    """All evidence in memory; the ledger is the truth.

    `entitlements`: which document types each source may register. `voucher_key`: 32 secret bytes; a voucher is a
    keyed hash of the evidence id, so that none has to be stored and nobody can guess one.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        entitlements: Mapping[str, frozenset[str]],
        issuer_signed: IssuerSigned,
        voucher_key: bytes,
    ) -> None:
        self._ledger = ledger
        self._entitlements = entitlements
        self._issuer_signed = issuer_signed
        self._voucher_key = voucher_key
        self._by_id: dict[str, Registered] = {}
        self._by_digest: dict[_Key, str] = {}
        self._by_voucher: dict[str, str] = {}
        self._algorithms: dict[str, set[HashAlgorithm]] = {}
        self.revocations: list[Transaction] = []  # oldest first
        for block in ledger.blocks:
            for transaction in block.transactions:
                self._apply(transaction)
            self._anchor(block)
        for transaction in ledger.waiting:
            self._apply(transaction)

    def register(self, body: Mapping[str, Any], *, now: int) -> Registered:
        """Durable on return. The same document again gives the same evidence. Raises Refused.

        `body`: evidenceId, documentType, issuerId, digests, validUntil?, issuerSignature.
        """
        if body["documentType"] not in self._entitlements.get(body["issuerId"], frozenset()):
            raise Refused("ISSUER_NOT_ENTITLED")
        if not self._issuer_signed(body["issuerId"], statement_of(body), body["issuerSignature"]):
            raise Refused("SIGNATURE_INVALID")
        digests = digests_of(body)
        for digest in digests:
            earlier = self._by_digest.get((body["issuerId"], body["documentType"], digest.algorithm, digest.value))
            if earlier is not None:
                return self._by_id[earlier]
        if body["evidenceId"] in self._by_id:
            raise Refused("EVIDENCE_ID_TAKEN")
        names = ("evidenceId", "documentType", "issuerId", "digests", "validUntil", "issuerSignature")
        transaction = {name: body[name] for name in names if body.get(name) is not None}
        transaction |= {"type": "evidence", "at": now}
        self._ledger.submit(transaction)
        self._apply(transaction)
        return self._by_id[body["evidenceId"]]

    def change_status(
        self, evidence_id: str, status: EvidenceStatus, *, reason: str, now: int
    ) -> tuple[Registered, bool]:
        """Revoke or supersede: durable on return, in force at once. False: it was so before. Raises Refused."""
        known = self._by_id.get(evidence_id)
        if known is None:
            raise Refused("NOT_REGISTERED")
        if known.status in {EvidenceStatus.REVOKED, EvidenceStatus.SUPERSEDED}:
            return known, False
        transaction = {
            "type": "status",
            "evidenceId": evidence_id,
            "status": status.value,
            "reason": reason,
            "at": now,
        }
        self._ledger.submit(transaction)
        self._apply(transaction)
        return self._by_id[evidence_id], True

    def make_block(self, *, now: int) -> Block | None:
        block = self._ledger.make_block(now=now)
        if block is not None:
            self._anchor(block)
        return block

    def voucher(self, evidence_id: str) -> str:
        """An opaque reference of 26 letters and digits."""
        tag = hmac.new(self._voucher_key, evidence_id.encode(), hashlib.sha256).digest()
        return b32encode(tag[:16]).decode().rstrip("=")

    def get(self, evidence_id: str) -> Registered | None:
        return self._by_id.get(evidence_id)

    def find(self, asked: Asked, *, now: int) -> Finding:
        """The platform's word, in the order of what a wrong document is worse than: difference, status, age."""
        known = self._named(asked)
        if known is None:
            held = self._algorithms.get(asked.issuer_id, set())
            if held and held.isdisjoint(digest.algorithm for digest in asked.digests):
                return Finding(outcome=Outcome.ALGORITHM_UNSUPPORTED)
            return Finding(outcome=Outcome.NOT_REGISTERED)
        if known.chain is None:
            return Finding(outcome=Outcome.INDETERMINATE, reason=Reason.PENDING_ON_CHAIN)
        status, status_at = known.status, known.status_at
        expired = known.valid_until is not None and known.valid_until <= now
        if status is EvidenceStatus.ANCHORED and expired and known.valid_until is not None:
            status, status_at = EvidenceStatus.EXPIRED, known.valid_until
        return Finding(
            outcome=_outcome(asked, known, status), evidence=_evidence(known, known.chain, status, status_at)
        )

    def _named(self, asked: Asked) -> Registered | None:
        if asked.voucher is not None:
            known = self._by_id.get(self._by_voucher.get(asked.voucher, ""))
            if known is None or (known.issuer_id, known.document_type) != (asked.issuer_id, asked.document_type):
                return None
            return known
        for digest in asked.digests:
            found = self._by_digest.get((asked.issuer_id, asked.document_type, digest.algorithm, digest.value))
            if found is not None and _agrees(asked.digests, self._by_id[found].digests):
                return self._by_id[found]
        return None

    def _apply(self, transaction: Transaction) -> None:
        if transaction["type"] == "status":
            status = EvidenceStatus(transaction["status"])
            known = self._by_id[transaction["evidenceId"]]
            self._by_id[known.evidence_id] = replace(known, status=status, status_at=transaction["at"])
            if status is EvidenceStatus.REVOKED:
                self.revocations.append(transaction)
            return
        known = Registered(
            evidence_id=transaction["evidenceId"],
            document_type=transaction["documentType"],
            issuer_id=transaction["issuerId"],
            digests=digests_of(transaction),
            valid_until=transaction.get("validUntil"),
            issuer_signature=transaction["issuerSignature"],
            status=EvidenceStatus.PENDING_CHAIN,
            status_at=transaction["at"],
        )
        self._by_id[known.evidence_id] = known
        self._by_voucher[self.voucher(known.evidence_id)] = known.evidence_id
        algorithms = self._algorithms.setdefault(known.issuer_id, set())
        for digest in known.digests:
            algorithms.add(digest.algorithm)
            key = (known.issuer_id, known.document_type, digest.algorithm, digest.value)
            self._by_digest[key] = known.evidence_id

    def _anchor(self, block: Block) -> None:
        for index, transaction in enumerate(block.transactions):
            if transaction["type"] != "evidence":
                continue
            known = self._by_id[transaction["evidenceId"]]
            anchored = replace(known, chain=block.reference(index), anchored_at=block.time)
            if known.status is EvidenceStatus.PENDING_CHAIN:
                anchored = replace(anchored, status=EvidenceStatus.ANCHORED, status_at=block.time)
            self._by_id[known.evidence_id] = anchored


def _agrees(asked: tuple[Digest, ...], held: tuple[Digest, ...]) -> bool:
    """Every algorithm that both have gives the same value."""
    values = {digest.algorithm: digest.value for digest in held}
    return all(values.get(digest.algorithm, digest.value) == digest.value for digest in asked)


def _outcome(asked: Asked, known: Registered, status: EvidenceStatus) -> Outcome:
    if {digest.algorithm for digest in asked.digests}.isdisjoint(digest.algorithm for digest in known.digests):
        return Outcome.ALGORITHM_UNSUPPORTED
    if not _agrees(asked.digests, known.digests):
        return Outcome.MISMATCH
    return Outcome.MATCH if status is EvidenceStatus.ANCHORED else Outcome(status.value)


def _evidence(known: Registered, chain: ChainReference, status: EvidenceStatus, status_at: int) -> Evidence:
    return Evidence(
        evidence_id=known.evidence_id,
        issuer_id=known.issuer_id,
        digests=known.digests,
        anchored_at=known.anchored_at,
        valid_until=known.valid_until,
        status=status,
        status_at=status_at,
        issuer_signature=known.issuer_signature,
        chain=chain,
    )
