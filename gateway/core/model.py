"""The gateway's own words, free of any wire format: consents, exchanges, evidence, verdicts.

Values are valid once constructed: the profiles have checked every string against its schema before. All times
are Unix seconds (UTC) unless the name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    SOUTHBOUND = "SOUTHBOUND"  # mainland source, Hong Kong bank
    NORTHBOUND = "NORTHBOUND"  # Hong Kong source, mainland institution


class Role(StrEnum):
    BANK = "bank"  # CDI data consumer
    SOURCE = "source"  # CDI data provider: issues documents and registers their digests
    PLATFORM = "platform"  # DVP


class HashAlgorithm(StrEnum):
    SHA256 = "SHA256"
    SM3 = "SM3"


class ConsentStatus(StrEnum):
    SUBMITTED = "ConsentSubmitted"  # CDI
    VALID = "ConsentValid"  # CDI
    REVOKED = "ConsentRevoked"  # CDI
    REJECTED = "ConsentRejected"
    EXPIRED = "ConsentExpired"
    CONSUMED = "ConsentConsumed"


class Approval(StrEnum):
    """How a data owner's approval of a consent reached the gateway."""

    PAGE = "page"  # signed in at the gateway's own consent page
    AUTH_CODE = "auth_code"  # CDI: a one-time code that the bank presented with the consent
    ISSUER = "issuer"  # by the token of an authorization server that speaks for data owners


class ExchangeStatus(StrEnum):
    PENDING = "PENDING"  # CDI; accepted and durable, no answer yet
    APPROVED = "DataRequestApproved"  # CDI; the platform was asked and has no final answer yet
    SHARED = "DataRequestDataShared"  # CDI; a final outcome is there to be read
    RECEIVED = "DataRequestReceived"
    REJECTED = "DataRequestRejected"  # CDI
    EXPIRED = "DataRequestExpired"
    CANCELLED = "DataRequestCancelled"


class Outcome(StrEnum):
    MATCH = "MATCH"
    MISMATCH = "MISMATCH"
    NOT_REGISTERED = "NOT_REGISTERED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"
    ISSUER_UNTRUSTED = "ISSUER_UNTRUSTED"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    ALGORITHM_UNSUPPORTED = "ALGORITHM_UNSUPPORTED"
    INDETERMINATE = "INDETERMINATE"

    @property
    def final(self) -> bool:
        return self is not Outcome.INDETERMINATE


class Reason(StrEnum):
    """Why an outcome is INDETERMINATE. None of these says anything about the document."""

    PENDING_ON_CHAIN = "PENDING_ON_CHAIN"
    REGISTRY_UNAVAILABLE = "REGISTRY_UNAVAILABLE"
    SOURCE_UNAVAILABLE = "SOURCE_UNAVAILABLE"
    TIMEOUT = "TIMEOUT"
    ANSWER_UNTRUSTED = "ANSWER_UNTRUSTED"


class Fact(StrEnum):
    VALID = "VALID"
    INVALID = "INVALID"
    UNKNOWN = "UNKNOWN"


class EvidenceStatus(StrEnum):
    SUBMITTED = "SUBMITTED"
    PENDING_CHAIN = "PENDING_CHAIN"
    ANCHORED = "ANCHORED"
    REVOKED = "REVOKED"
    SUPERSEDED = "SUPERSEDED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    algorithm: HashAlgorithm
    value: str  # 64 lower-case hex digits


@dataclass(frozen=True, slots=True, kw_only=True)
class DataScope:
    """CDI's scope. `udr` (Universal Data Reference) is DVP's voucher, given by the data owner."""

    scope_type: str  # DataScopeTypeUDR | DataScopeTypeDateRange
    document_type: str
    udr: str | None = None
    start_date: str | None = None  # ISO 8601 dates: the period that the document covers
    end_date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A data owner's permission: who asks, for what, from whom, why, until when, how often."""

    consent_id: str
    consumer_id: str
    consumer_name: str
    provider_id: str
    provider_name: str
    type: str
    scope: DataScope
    purpose: str
    hash_key: str  # salted commitment to the private part; the private part itself is never kept
    subject: str  # keyed pseudonym of the data owner
    status: ConsentStatus
    expire_time: int
    max_uses: int
    reserved: int = 0
    used: int = 0  # committed uses
    reject_code: str | None = None
    approval: Approval | None = None  # how its owner said yes; None before
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is known of the document: never its content."""

    issuer_id: str
    digests: tuple[Digest, ...]  # one per algorithm, at least one
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReference:
    system: str
    group: str
    contract: str
    transaction_hash: str
    block_number: int
    proof: ChainProof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainProof:
    """RFC 6962 inclusion of the evidence in a block, and the block's header signed by the ledger.

    The header is kept as it was signed (compact JWS, payload RFC 8785), so that nothing is rebuilt.
    """

    leaf_index: int
    tree_size: int
    path: tuple[bytes, ...]  # sibling hashes, lowest first, 32 bytes each
    header: str  # compact JWS over {number, previousHash, time, treeSize, rootHash}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The record on DVP's ledger that a document with these digests was issued."""

    evidence_id: str
    issuer_id: str
    digests: tuple[Digest, ...]
    anchored_at: int
    valid_until: int | None
    status: EvidenceStatus
    status_at: int
    issuer_signature: str  # detached compact JWS (RFC 7515 appendix F) over `core.evidence.statement`
    chain: ChainReference


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gateway's judgement. The three facts are reported apart; `UNKNOWN` is not a soft `INVALID`."""

    outcome: Outcome
    reason: Reason | None = None
    integrity: Fact = Fact.UNKNOWN
    status: Fact = Fact.UNKNOWN
    issuer: Fact = Fact.UNKNOWN
    evidence: Evidence | None = None
    checked_at: int = 0
    alarm: bool = False  # somebody must look: an authentic lie, or an answer that cannot be trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The file that the bank downloads: a compact JWS over the verification, and its SHA-256."""

    name: str
    jws: str
    sha256: str  # hex
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A record of ours and its place in the audit log."""

    record_id: str
    index: int
    leaf_hash: bytes  # RFC 6962, 32 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the bank keeps of an outcome: a compact JWS over it, which names the record in the audit log."""

    jws: str
    logged: Logged


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One data request and where it stands. Advanced by small steps and compare-and-swap on `version`."""

    exchange_id: str  # CDI dataRequestId
    request_id: str  # DVP requestId; the same on every try
    consumer_id: str
    consent_id: str
    scope: DataScope
    purpose: str
    document: Document
    status: ExchangeStatus
    interaction: str
    client_id: str
    certificate: str  # SHA-256 thumbprint (hex) of the certificate that asked
    created_at: int
    updated_at: int
    deadline_at: int
    next_attempt_at: float
    attempts: int = 0
    reject_code: str | None = None
    reject_detail: str | None = None
    verdict: Verdict | None = None
    report: Report | None = None
    receipt: Receipt | None = None
    response_id: str | None = None
    version: int = 1


EVIDENCE_REVOKED = "EVIDENCE_REVOKED"
"""The notice that each exchange with a delivered MATCH gets once when its evidence is revoked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something a participant should know. `sequence` grows and is the cursor of the notices feed."""

    sequence: int
    participant_id: str
    type: str  # one of the code list notice-type
    time: int
    consent_id: str | None = None
    exchange_id: str | None = None
    evidence_id: str | None = None
    detail: str | None = None  # a code, never free text


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is needed of a peer's X.509 certificate, parsed once per certificate."""

    sha256: str  # hex, over DER
    thumbprint: str  # base64url without padding, RFC 8705 §3.1 x5t#S256
    issuer: str  # RFC 4514
    subject: str  # RFC 4514
    serial: int
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    per_second: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRule:
    """Either `sha256`, or `issuer` and `subject` together (RFC 4514 strings)."""

    sha256: str | None = None
    issuer: str | None = None
    subject: str | None = None

    def names(self, certificate: Certificate) -> bool:
        """Whether the certificate is one that this rule is about."""
        if self.sha256 is not None:
            return self.sha256 == certificate.sha256
        return (self.issuer, self.subject) == (certificate.issuer, certificate.subject)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """An institution with a certificate at the gateway, as the registry knows it."""

    participant_id: str
    name: str
    role: Role
    active: bool
    directions: frozenset[Direction]
    document_types: frozenset[str]
    purposes: frozenset[str]
    certificates: tuple[CertificateRule, ...] = ()
    clients: frozenset[str] = frozenset()  # OAuth client ids
    platform_id: str | None = None  # sources: where their evidence is
    rate: Rate | None = None  # None: the configured default
