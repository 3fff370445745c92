from __future__ import annotations

from dataclasses import replace

from gateway.core.model import Certificate, CertificateRule, Direction, Participant, Role
from gateway.core.registry import Registry

CERTIFICATE = Certificate(
    sha256="a" * 64,
    thumbprint="t",
    issuer="CN=Test CA",
    subject="CN=bank-a",
    serial=1,
    not_before=0,
    not_after=10,
)
BANK = Participant(
    participant_id="BANKA01DC",
    name="Bank A",
    role=Role.BANK,
    active=True,
    directions=frozenset({Direction.SOUTHBOUND}),
    document_types=frozenset({"CORPORATE_CREDIT_REPORT"}),
    purposes=frozenset({"SME_LOAN_UNDERWRITING"}),
    certificates=(CertificateRule(sha256="a" * 64),),
)
SOURCE = replace(BANK, participant_id="SZCREDIT01DP", role=Role.SOURCE, certificates=())


def test_a_participant_is_known_by_thumbprint() -> None:
    assert Registry([BANK, SOURCE]).by_certificate(CERTIFICATE) is BANK
    assert Registry([BANK]).by_certificate(replace(CERTIFICATE, sha256="b" * 64)) is None


def test_a_participant_is_known_by_issuer_and_subject_together() -> None:
    named = replace(BANK, certificates=(CertificateRule(issuer="CN=Test CA", subject="CN=bank-a"),))
    registry = Registry([named])
    assert registry.by_certificate(CERTIFICATE) is named
    assert registry.by_certificate(replace(CERTIFICATE, issuer="CN=Other CA")) is None
    assert registry.by_certificate(replace(CERTIFICATE, subject="CN=bank-b")) is None


def test_half_a_rule_admits_nobody() -> None:
    half = replace(BANK, certificates=(CertificateRule(issuer="CN=Test CA"), CertificateRule(subject="CN=bank-a")))
    assert Registry([half]).by_certificate(CERTIFICATE) is None


def test_a_participant_has_several_certificates_while_they_rotate() -> None:
    rules = (CertificateRule(sha256="a" * 64), CertificateRule(sha256="b" * 64))
    registry = Registry([replace(BANK, certificates=rules)])
    for sha256 in ("a" * 64, "b" * 64):
        assert registry.by_certificate(replace(CERTIFICATE, sha256=sha256)) is not None


def test_a_participant_is_found_by_id() -> None:
    registry = Registry([BANK, SOURCE])
    assert registry.by_id("SZCREDIT01DP") is SOURCE
    assert registry.by_id("NOBODY") is None
    assert list(registry) == [BANK, SOURCE]


def test_only_an_active_source_of_that_type_is_entitled() -> None:
    def entitled(source: Participant, document_type: str = "CORPORATE_CREDIT_REPORT") -> bool:
        return Registry([source]).entitled("SZCREDIT01DP", document_type)

    assert entitled(SOURCE)
    assert not entitled(SOURCE, "PERSONAL_CREDIT_REPORT")
    assert not entitled(replace(SOURCE, active=False))
    assert not entitled(replace(SOURCE, role=Role.BANK))
    assert not entitled(replace(SOURCE, participant_id="OTHER"))
