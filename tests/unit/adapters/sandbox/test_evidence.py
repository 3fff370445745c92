"""What the platform says about a document: the table of outcomes, from its own side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.sandbox.evidence import Asked, EvidenceBook, Refused
from adapters.sandbox.ledger import Ledger
from adapters.sandbox.signing import KeySigner
from gateway.core.digest import digests_of
from gateway.core.model import Digest, EvidenceStatus, HashAlgorithm, Outcome, Reason

NOW = 1_790_000_000
SOURCE = "SZBANK0001DP"
TYPE = "BANK_STATEMENT"
DOCUMENT = digests_of(b"a statement")
OTHER = digests_of(b"another statement")


def accepts_good(_issuer: str, _statement: bytes, signature: str) -> bool:
    return signature == "good"


def book(folder: Path, signer: KeySigner) -> EvidenceBook:
    return EvidenceBook(
        Ledger(folder, signer),
        entitlements={SOURCE: frozenset({TYPE})},
        issuer_signed=accepts_good,
        voucher_key=b"k" * 32,
    )


def registration(digests: tuple[Digest, ...] = DOCUMENT, **more: Any) -> dict[str, Any]:
    return {
        "evidenceId": "evidence-1",
        "documentType": TYPE,
        "issuerId": SOURCE,
        "digests": [{"algorithm": digest.algorithm.value, "value": digest.value} for digest in digests],
        "issuerSignature": "good",
        **more,
    }


def asked(digests: tuple[Digest, ...] = DOCUMENT, voucher: str | None = None) -> Asked:
    return Asked(issuer_id=SOURCE, document_type=TYPE, digests=digests, voucher=voucher)


@pytest.fixture
def signer() -> KeySigner:
    return KeySigner.create("ledger-1")


@pytest.fixture
def anchored(tmp_path: Path, signer: KeySigner) -> EvidenceBook:
    made = book(tmp_path, signer)
    made.register(registration(validUntil=NOW + 1000), now=NOW)
    made.make_block(now=NOW + 1)
    return made


def test_what_has_no_block_yet_is_pending(tmp_path: Path, signer: KeySigner) -> None:
    made = book(tmp_path, signer)
    made.register(registration(), now=NOW)
    finding = made.find(asked(), now=NOW)
    assert (finding.outcome, finding.reason) == (Outcome.INDETERMINATE, Reason.PENDING_ON_CHAIN)
    assert finding.evidence is None


@pytest.mark.parametrize("digests", [DOCUMENT, DOCUMENT[:1], DOCUMENT[1:]])
def test_a_registered_document_is_found_by_each_of_its_digests(
    anchored: EvidenceBook, digests: tuple[Digest, ...]
) -> None:
    finding = anchored.find(asked(digests), now=NOW + 2)
    assert finding.outcome is Outcome.MATCH
    assert finding.evidence is not None
    assert finding.evidence.status is EvidenceStatus.ANCHORED


def test_another_document_mismatches_under_the_voucher_only(anchored: EvidenceBook) -> None:
    voucher = anchored.voucher("evidence-1")
    assert anchored.find(asked(OTHER, voucher), now=NOW).outcome is Outcome.MISMATCH
    assert anchored.find(asked(OTHER), now=NOW).outcome is Outcome.NOT_REGISTERED


def test_digests_of_two_documents_in_one_question_are_not_registered(anchored: EvidenceBook) -> None:
    assert anchored.find(asked((DOCUMENT[0], OTHER[1])), now=NOW).outcome is Outcome.NOT_REGISTERED


def test_an_unknown_voucher_finds_nothing(anchored: EvidenceBook) -> None:
    assert anchored.find(asked(DOCUMENT, "NOSUCHVOUCHER"), now=NOW).outcome is Outcome.NOT_REGISTERED


def test_a_voucher_names_only_evidence_of_the_asked_source(anchored: EvidenceBook) -> None:
    voucher = anchored.voucher("evidence-1")
    question = Asked(issuer_id="SZCREDIT01DP", document_type=TYPE, digests=DOCUMENT, voucher=voucher)
    assert anchored.find(question, now=NOW).outcome is Outcome.NOT_REGISTERED


def test_an_algorithm_that_the_source_does_not_use_is_said_so(tmp_path: Path, signer: KeySigner) -> None:
    made = book(tmp_path, signer)
    only_sm3 = tuple(digest for digest in DOCUMENT if digest.algorithm is HashAlgorithm.SM3)
    only_sha256 = tuple(digest for digest in DOCUMENT if digest.algorithm is HashAlgorithm.SHA256)
    made.register(registration(only_sm3), now=NOW)
    made.make_block(now=NOW)
    assert made.find(asked(only_sha256), now=NOW).outcome is Outcome.ALGORITHM_UNSUPPORTED
    by_voucher = made.find(asked(only_sha256, made.voucher("evidence-1")), now=NOW)
    assert by_voucher.outcome is Outcome.ALGORITHM_UNSUPPORTED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(EvidenceStatus.REVOKED, Outcome.REVOKED), (EvidenceStatus.SUPERSEDED, Outcome.SUPERSEDED)],
)
def test_a_changed_status_is_in_force_at_once_and_after_a_restart(
    tmp_path: Path, signer: KeySigner, anchored: EvidenceBook, status: EvidenceStatus, outcome: Outcome
) -> None:
    anchored.change_status("evidence-1", status, reason="OTHER", now=NOW + 5)
    for known in (anchored, book(tmp_path, signer)):
        finding = known.find(asked(), now=NOW + 6)
        assert finding.outcome is outcome
        assert finding.evidence is not None
        assert finding.evidence.status_at == NOW + 5


def test_a_wrong_document_is_a_mismatch_even_when_the_evidence_is_revoked(anchored: EvidenceBook) -> None:
    anchored.change_status("evidence-1", EvidenceStatus.REVOKED, reason="OTHER", now=NOW)
    assert anchored.find(asked(OTHER, anchored.voucher("evidence-1")), now=NOW).outcome is Outcome.MISMATCH


def test_evidence_expires_at_its_own_time(anchored: EvidenceBook) -> None:
    assert anchored.find(asked(), now=NOW + 999).outcome is Outcome.MATCH
    finding = anchored.find(asked(), now=NOW + 1000)
    assert finding.outcome is Outcome.EXPIRED
    assert finding.evidence is not None
    assert finding.evidence.status_at == NOW + 1000


def test_the_same_document_again_is_the_same_evidence(anchored: EvidenceBook) -> None:
    again = anchored.register(registration(evidenceId="evidence-2"), now=NOW + 9)
    assert again.evidence_id == "evidence-1"
    assert anchored.get("evidence-2") is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"issuerSignature": "bad"}, "SIGNATURE_INVALID"),
        ({"documentType": "KYC_REPORT"}, "ISSUER_NOT_ENTITLED"),
        ({"issuerId": "SZCREDIT01DP"}, "ISSUER_NOT_ENTITLED"),
    ],
)
def test_a_registration_that_does_not_hold_is_refused(
    tmp_path: Path, signer: KeySigner, change: dict[str, str], code: str
) -> None:
    with pytest.raises(Refused, match=code):
        book(tmp_path, signer).register(registration(**change), now=NOW)


def test_an_evidence_id_names_one_document(anchored: EvidenceBook) -> None:
    with pytest.raises(Refused, match="EVIDENCE_ID_TAKEN"):
        anchored.register(registration(OTHER), now=NOW)


def test_vouchers_survive_a_restart(tmp_path: Path, signer: KeySigner, anchored: EvidenceBook) -> None:
    voucher = anchored.voucher("evidence-1")
    assert book(tmp_path, signer).find(asked(DOCUMENT, voucher), now=NOW).outcome is Outcome.MATCH


def test_a_second_revocation_changes_nothing(anchored: EvidenceBook) -> None:
    anchored.change_status("evidence-1", EvidenceStatus.REVOKED, reason="OTHER", now=NOW)
    known, changed = anchored.change_status("evidence-1", EvidenceStatus.REVOKED, reason="OTHER", now=NOW + 7)
    assert not changed
    assert known.status_at == NOW
