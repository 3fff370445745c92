"""The signed statement and the ledger's leaf are the same bytes for the same facts, and others for any other fact."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import rfc8785

from gateway.core.evidence import ledger_leaf, statement
from gateway.core.model import Digest, HashAlgorithm

SHA256 = Digest(algorithm=HashAlgorithm.SHA256, value="1" * 64)
SM3 = Digest(algorithm=HashAlgorithm.SM3, value="2" * 64)


def stated(**changes: Any) -> bytes:
    facts: dict[str, Any] = {
        "evidence_id": "ev-1",
        "document_type": "BANK_STATEMENT",
        "issuer_id": "SZBANK0001DP",
        "digests": (SHA256, SM3),
        "valid_until": 1_900_000_000,
    }
    return statement(**(facts | changes))


def test_statement_is_canonical_json_of_its_facts() -> None:
    facts = {
        "evidenceId": "ev-1",
        "documentType": "BANK_STATEMENT",
        "issuerId": "SZBANK0001DP",
        "digests": [{"algorithm": "SHA256", "value": "1" * 64}, {"algorithm": "SM3", "value": "2" * 64}],
        "validUntil": 1_900_000_000,
    }
    assert stated() == rfc8785.dumps(facts)


def test_order_of_the_digests_does_not_matter() -> None:
    assert stated(digests=(SM3, SHA256)) == stated()


def test_document_without_an_end_has_no_end_in_the_statement() -> None:
    assert "validUntil" not in orjson.loads(stated(valid_until=None))


@pytest.mark.parametrize(
    "change",
    [
        {"evidence_id": "ev-2"},
        {"document_type": "DEPOSIT_CERTIFICATE"},
        {"issuer_id": "SZCREDIT01DP"},
        {"digests": (SHA256,)},
        {"digests": (SHA256, Digest(algorithm=HashAlgorithm.SM3, value="3" * 64))},
        {"valid_until": 1_900_000_001},
        {"valid_until": None},
    ],
)
def test_any_other_fact_is_another_statement(change: dict[str, Any]) -> None:
    assert stated(**change) != stated()


def test_leaf_holds_the_statement_and_its_signature() -> None:
    leaf = ledger_leaf(statement_bytes=stated(), issuer_signature="header..signature")
    assert orjson.loads(leaf) == {"statement": stated().decode(), "issuerSignature": "header..signature"}
    assert leaf == rfc8785.dumps(orjson.loads(leaf))
