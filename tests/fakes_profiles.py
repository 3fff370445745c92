"""Signers with real keys, vector files, and sample values of the model for the tests of the wire profiles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from joserfc import jws
from joserfc.jwk import ECKey

import schemas
from gateway.core.evidence import ledger_leaf, statement
from gateway.core.merkle import inclusion_path, leaf_hash, root
from gateway.core.model import (
    ChainProof,
    ChainReference,
    Consent,
    ConsentStatus,
    DataScope,
    Digest,
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
from gateway.core.verification import Question
from gateway.profiles.dvp_v1 import trust
from gateway.profiles.dvp_v1.signature import KeySet, key_set
from gateway.profiles.validation import Validators

VECTORS = Path(__file__).parent / "vectors"
NOW = 1_795_000_000
ISSUER = "SZCREDIT01DP"
DOCUMENT_TYPE = "CORPORATE_CREDIT_REPORT"
SCOPE = DataScope(scope_type="DataScopeTypeUDR", document_type=DOCUMENT_TYPE, udr="voucher-canary-7f3a")
DIGESTS = (
    Digest(algorithm=HashAlgorithm.SM3, value="1a" * 32),
    Digest(algorithm=HashAlgorithm.SHA256, value="2b" * 32),
)
CONSENT_ID = "0192f0c0-1111-7222-8333-444444444444"
REQUEST_ID = "0192f0c0-2222-7222-8333-444444444444"
EXCHANGE_ID = "0192f0c0-3333-7222-8333-444444444444"
RESPONSE_ID = "0192f0c0-4444-7222-8333-444444444444"
MESSAGE_ID = "0192f0c0-5555-7222-8333-444444444444"
INTERACTION = "0192f0c0-6666-7222-8333-444444444444"


class KeySigner:
    """A signer with a key of its own, free to lie about `alg` and header members."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.key = ECKey.generate_key("P-256")

    def sign_jws(self, header: dict[str, str], payload: bytes) -> str:
        return jws.serialize_compact(
            {"alg": "ES256", "kid": self.key_id, **header}, payload, self.key, algorithms=["ES256"]
        )

    def keys(self) -> KeySet:
        return key_set(jwks(self))


def jwks(*signers: KeySigner) -> bytes:
    return orjson.dumps({"keys": [{**signer.key.as_dict(private=False), "kid": signer.key_id} for signer in signers]})


@cache
def validators() -> Validators:
    return Validators(schemas.load())


def vectors(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of every vector file below a folder of `tests/vectors`."""
    for file in sorted((VECTORS / folder).rglob("*.json")):
        yield file.relative_to(VECTORS).with_suffix("").as_posix(), orjson.loads(file.read_bytes())


def evidence(issuer: KeySigner, ledger: KeySigner, *, neighbours: int = 4, block_number: int = 7) -> Evidence:
    """Anchored evidence with true signatures, in a block with other transactions around it."""
    signed = statement(
        evidence_id="EV-0001",
        document_type=DOCUMENT_TYPE,
        issuer_id=ISSUER,
        digests=DIGESTS,
        valid_until=NOW + 86_400,
    )
    signature = trust.detached_sign(issuer, signed)
    leaf = ledger_leaf(statement_bytes=signed, issuer_signature=signature)
    leaves = [leaf_hash(b"%d" % index) for index in range(neighbours)]
    leaves.insert(neighbours // 2, leaf_hash(leaf))
    header = trust.header_sign(
        ledger,
        trust.ChainHeader(
            number=block_number,
            previous_hash=b"\x11" * 32,
            time=NOW - 500,
            tree_size=len(leaves),
            root_hash=root(leaves),
        ),
    )
    return Evidence(
        evidence_id="EV-0001",
        issuer_id=ISSUER,
        digests=DIGESTS,
        anchored_at=NOW - 500,
        valid_until=NOW + 86_400,
        status=EvidenceStatus.ANCHORED,
        status_at=NOW - 500,
        issuer_signature=signature,
        chain=ChainReference(
            system="SANDBOX",
            group="group0",
            contract="evidence",
            transaction_hash=leaf_hash(leaf).hex(),
            block_number=block_number,
            proof=ChainProof(
                leaf_index=neighbours // 2,
                tree_size=len(leaves),
                path=inclusion_path(neighbours // 2, leaves),
                header=header,
            ),
        ),
    )


def leaf_of(found: Evidence) -> bytes:
    signed = statement(
        evidence_id=found.evidence_id,
        document_type=DOCUMENT_TYPE,
        issuer_id=found.issuer_id,
        digests=found.digests,
        valid_until=found.valid_until,
    )
    return ledger_leaf(statement_bytes=signed, issuer_signature=found.issuer_signature)


def verdict(found: Evidence | None = None, outcome: Outcome = Outcome.MATCH) -> Verdict:
    fact = Fact.VALID if outcome is Outcome.MATCH else Fact.UNKNOWN
    return Verdict(outcome=outcome, integrity=fact, status=fact, issuer=fact, evidence=found, checked_at=NOW)


def consent(**changes: Any) -> Consent:
    values: dict[str, Any] = {
        "consent_id": CONSENT_ID,
        "consumer_id": "BANKA01DC",
        "consumer_name": "Bank A",
        "provider_id": ISSUER,
        "provider_name": "Shenzhen Credit",
        "type": "ConsentTypeSignedDocNotRequired",
        "scope": SCOPE,
        "purpose": "SME_LOAN_UNDERWRITING",
        "hash_key": "3c" * 32,
        "subject": "5d" * 32,
        "status": ConsentStatus.VALID,
        "expire_time": NOW + 3_600,
        "max_uses": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Consent(**(values | changes))


def exchange(**changes: Any) -> Exchange:
    values: dict[str, Any] = {
        "exchange_id": EXCHANGE_ID,
        "request_id": REQUEST_ID,
        "consumer_id": "BANKA01DC",
        "consent_id": CONSENT_ID,
        "scope": SCOPE,
        "purpose": "SME_LOAN_UNDERWRITING",
        "document": Document(issuer_id=ISSUER, digests=DIGESTS, size=48_213),
        "status": ExchangeStatus.PENDING,
        "interaction": INTERACTION,
        "client_id": "client-canary",
        "certificate": "6e" * 32,
        "created_at": NOW,
        "updated_at": NOW,
        "deadline_at": NOW + 600,
        "next_attempt_at": float(NOW),
    }
    return Exchange(**(values | changes))


REPORT = Report(name="verification-report.jws", jws="header.payload.signature", sha256="7f" * 32, key_id="reports-1")

LOGGED = Logged(record_id=MESSAGE_ID, index=41, leaf_hash=b"\x2a" * 32)
RECEIPT = Receipt(jws="header.payload.signature", logged=LOGGED)

QUESTION = Question(
    request_id=REQUEST_ID,
    document_type=DOCUMENT_TYPE,
    document=Document(issuer_id=ISSUER, digests=DIGESTS, size=48_213),
    voucher=SCOPE.udr,
    consent_hash_key="3c" * 32,
    consent_purpose="SME_LOAN_UNDERWRITING",
    consent_expire_time=NOW + 3_600,
    requester="BANKA01DC",
)
