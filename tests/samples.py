"""Complete objects of the model, each field set, for tests that change the one that matters."""

from __future__ import annotations

import itertools
from typing import Any

from gateway.audit.record import Actor, Origin, Record
from gateway.core.model import (
    ChainProof,
    ChainReference,
    Consent,
    ConsentStatus,
    DataScope,
    Digest,
    Direction,
    Document,
    Evidence,
    EvidenceStatus,
    Exchange,
    ExchangeStatus,
    Fact,
    HashAlgorithm,
    Logged,
    Outcome,
    Receipt,
    Report,
    Verdict,
)
from gateway.ports import Idempotency

BANK = "BANKA01DC"
SOURCE = "SZCREDIT01DP"
NOW = 1_800_000_000
ORIGIN = Origin(software="0.1.0", schema="cdi/v1", config="c" * 64)

_numbers = itertools.count(1)


def unique(prefix: str = "id") -> str:
    """Grows as UUIDv7 does, so that ids made later are greater."""
    return f"{prefix}-{next(_numbers):08d}"


def scope(**changes: Any) -> DataScope:
    values = {"scope_type": "DataScopeTypeUDR", "document_type": "CORPORATE_CREDIT_REPORT", "udr": "voucher-1"}
    return DataScope(**(values | changes))


def consent(**changes: Any) -> Consent:
    values: dict[str, Any] = {
        "consent_id": unique("consent"),
        "consumer_id": BANK,
        "consumer_name": "Bank A",
        "provider_id": SOURCE,
        "provider_name": "Shenzhen Credit",
        "type": "ConsentTypeSignedDocNotRequired",
        "scope": scope(),
        "purpose": "SME_LOAN_UNDERWRITING",
        "hash_key": "a" * 64,
        "subject": "b" * 64,
        "status": ConsentStatus.VALID,
        "expire_time": NOW + 3_600,
        "max_uses": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Consent(**(values | changes))


def document(**changes: Any) -> Document:
    digests = tuple(Digest(algorithm=algorithm, value="d" * 64) for algorithm in HashAlgorithm)
    return Document(**({"issuer_id": SOURCE, "digests": digests, "size": 48_213} | changes))


def exchange(of: Consent, **changes: Any) -> Exchange:
    values: dict[str, Any] = {
        "exchange_id": unique("exchange"),
        "request_id": unique("request"),
        "consumer_id": of.consumer_id,
        "consent_id": of.consent_id,
        "scope": of.scope,
        "purpose": of.purpose,
        "document": document(),
        "status": ExchangeStatus.PENDING,
        "interaction": "11111111-2222-4333-8444-555555555555",
        "client_id": "bank-a",
        "certificate": "e" * 64,
        "created_at": NOW,
        "updated_at": NOW,
        "deadline_at": NOW + 600,
        "next_attempt_at": NOW + 0.25,
    }
    return Exchange(**(values | changes))


def evidence(**changes: Any) -> Evidence:
    proof = ChainProof(leaf_index=1, tree_size=3, path=(b"\x01" * 32, b"\x02" * 32), header="e30.e30.c2ln")
    values: dict[str, Any] = {
        "evidence_id": "evidence-1",
        "issuer_id": SOURCE,
        "digests": document().digests,
        "anchored_at": NOW - 60,
        "valid_until": None,
        "status": EvidenceStatus.ANCHORED,
        "status_at": NOW - 60,
        "issuer_signature": "e30..c2ln",
        "chain": ChainReference(
            system="fisco-bcos",
            group="group0",
            contract="0x01",
            transaction_hash="0x02",
            block_number=7,
            proof=proof,
        ),
    }
    return Evidence(**(values | changes))


def verdict(**changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "outcome": Outcome.MATCH,
        "integrity": Fact.VALID,
        "status": Fact.VALID,
        "issuer": Fact.VALID,
        "evidence": evidence(),
        "checked_at": NOW,
    }
    return Verdict(**(values | changes))


def report(**changes: Any) -> Report:
    return Report(**({"name": "report.jws", "jws": "e30.e30.c2ln", "sha256": "f" * 64, "key_id": "report-1"} | changes))


def receipt(**changes: Any) -> Receipt:
    logged = Logged(record_id=unique("record"), index=7, leaf_hash=b"\x07" * 32)
    return Receipt(**({"jws": "e30.e30.c2ln", "logged": logged} | changes))


def record(**changes: Any) -> Record:
    values: dict[str, Any] = {
        "record_id": unique("record"),
        "time": NOW + 0.123456,
        "type": "verification.intended",
        "actor": Actor(participant=BANK, role="bank", certificate="e" * 64, client="bank-a"),
        "direction": Direction.SOUTHBOUND,
        "counterparty": "DVPPLATFORM",
        "interaction": "11111111-2222-4333-8444-555555555555",
        "request": "request-1",
        "consent": consent(),
        "document": document(),
        "document_type": "CORPORATE_CREDIT_REPORT",
        "outcome": "MATCH",
        "evidence": "evidence-1",
        "latency_ms": 12,
        "attempts": 1,
    }
    return Record(**(values | changes))


def idempotency(**changes: str) -> Idempotency:
    return Idempotency(**({"key": unique("key"), "fingerprint": "fingerprint"} | changes))
