from __future__ import annotations

import pytest

from gateway.core.model import ExchangeStatus, Notice, Outcome, Reason, Verdict
from gateway.profiles.cdi_v1 import rendering
from tests.fakes_profiles import (
    EXCHANGE_ID,
    NOW,
    RECEIPT,
    REPORT,
    RESPONSE_ID,
    KeySigner,
    consent,
    evidence,
    exchange,
    verdict,
)

URL = "https://gateway.example"
EVIDENCE = evidence(KeySigner("issuer"), KeySigner("ledger"))


def test_voucher_is_never_echoed() -> None:
    assert "voucher-canary" not in str(rendering.consent(consent()))
    assert "voucher-canary" not in str(rendering.exchange(exchange(), URL))
    report = rendering.report(exchange(), verdict(EVIDENCE), gateway_id="HKGATEWAY01", now=NOW)
    assert "voucher-canary" not in str(report)


def test_pseudonym_client_and_certificate_stay_inside() -> None:
    assert consent().subject not in str(rendering.consent(consent()))
    rendered = str(rendering.exchange(exchange(), URL))
    assert exchange().client_id not in rendered
    assert exchange().certificate not in rendered


def test_secret_is_shown_when_it_was_made_here() -> None:
    assert rendering.consent(consent(), "0f" * 16)["private"] == {"secret": "0f" * 16}
    assert "private" not in rendering.consent(consent())


def test_time_is_given_in_both_forms() -> None:
    assert rendering.time(1_795_420_800) == {"t": 1_795_420_800, "humanT": "2026-11-23T08:00:00Z"}


def test_shared_exchange_says_where_its_file_is() -> None:
    body = rendering.exchange(
        exchange(status=ExchangeStatus.SHARED, verdict=verdict(EVIDENCE), report=REPORT, response_id=RESPONSE_ID), URL
    )
    (response,) = body["responseList"]
    assert body["hashKeyOfData"] == REPORT.sha256 == response["dataFile"]["fileHash"]
    assert response["dataFile"]["endPoint"] == URL
    assert response["dataFile"]["filePath"] == f"/cdi/v1/data-requests/{EXCHANGE_ID}/files/{REPORT.name}"
    assert response["publicKeyId"] == REPORT.key_id
    assert "receptionList" not in body


def test_delivered_outcome_carries_its_receipt() -> None:
    delivered = exchange(status=ExchangeStatus.SHARED, verdict=verdict(EVIDENCE), report=REPORT, receipt=RECEIPT)
    assert rendering.exchange(delivered, URL)["receipt"] == RECEIPT.jws
    assert "receipt" not in rendering.exchange(exchange(), URL)


def test_received_exchange_lists_its_reception() -> None:
    body = rendering.exchange(
        exchange(status=ExchangeStatus.RECEIVED, verdict=verdict(EVIDENCE), report=REPORT, response_id=RESPONSE_ID), URL
    )
    assert body["receptionList"][0]["dataFile"]["fileHash"] == REPORT.sha256


@pytest.mark.parametrize("reason", Reason)
def test_rejection_for_want_of_an_outcome_may_be_asked_again(reason: Reason) -> None:
    judged = Verdict(outcome=Outcome.INDETERMINATE, reason=reason, checked_at=NOW)
    for found in (judged, None):
        body = rendering.exchange(
            exchange(
                status=ExchangeStatus.REJECTED,
                reject_code="DataRequestRejectReasonOthers",
                reject_detail=reason.value,
                verdict=found,
            ),
            URL,
        )
        assert body["mayRetry"] is True


def test_rejection_for_the_consent_may_not_be_asked_again() -> None:
    refused = exchange(
        status=ExchangeStatus.REJECTED,
        reject_code="DataRequestRejectReasonInvalidConsent",
        reject_detail="CONSENT_REVOKED",
    )
    assert rendering.exchange(refused, URL)["mayRetry"] is False


def test_only_a_rejection_speaks_of_asking_again() -> None:
    assert "mayRetry" not in rendering.exchange(exchange(), URL)


def test_indeterminate_verdict_is_shown_while_the_exchange_is_open() -> None:
    waiting = exchange(
        status=ExchangeStatus.APPROVED,
        verdict=Verdict(outcome=Outcome.INDETERMINATE, reason=Reason.PENDING_ON_CHAIN, checked_at=NOW),
    )
    assert rendering.exchange(waiting, URL)["verification"] == {
        "outcome": "INDETERMINATE",
        "reason": "PENDING_ON_CHAIN",
        "integrity": "UNKNOWN",
        "status": "UNKNOWN",
        "issuer": "UNKNOWN",
        "checkedAt": NOW,
    }


def test_bank_gets_the_proof_in_the_report_and_a_summary_in_the_answer() -> None:
    judged = verdict(EVIDENCE)
    summary = rendering.verification(judged, proven=False)["evidence"]
    proven = rendering.verification(judged, proven=True)["evidence"]
    assert "issuerSignature" not in summary
    assert "proof" not in summary["chain"]
    assert proven["issuerSignature"] == EVIDENCE.issuer_signature
    assert EVIDENCE.chain.proof is not None
    assert proven["chain"]["proof"]["header"] == EVIDENCE.chain.proof.header


def test_notice_names_only_what_it_is_about() -> None:
    notice = Notice(
        sequence=1, participant_id="BANKA01DC", type="CONSENT_VALID", time=NOW, consent_id=consent().consent_id
    )
    assert rendering.notice(notice).keys() == {"sequence", "type", "time", "consentId"}


def test_notice_has_its_signed_form_beside_it() -> None:
    notice = Notice(sequence=1, participant_id="BANKA01DC", type="CONSENT_VALID", time=NOW)
    assert rendering.notice(notice, "a.b.c")["token"] == "a.b.c"
    assert "token" not in rendering.notice(notice)


def test_event_is_for_the_bank_that_is_told() -> None:
    notice = Notice(
        sequence=7, participant_id="BANKB01DC", type="CONSENT_EXPIRED", time=NOW, consent_id=consent().consent_id
    )
    event = rendering.consent_event(notice, gateway_id="HKGATEWAY01", now=NOW + 1)
    assert (event["iss"], event["aud"], event["toe"], event["iat"]) == ("HKGATEWAY01", "BANKB01DC", NOW, NOW + 1)


def test_event_read_twice_is_the_same_event() -> None:
    notice = Notice(
        sequence=7, participant_id="BANKA01DC", type="CONSENT_EXPIRED", time=NOW, consent_id=consent().consent_id
    )
    early, late = (rendering.consent_event(notice, gateway_id="HKGATEWAY01", now=now) for now in (NOW, NOW + 9_000))
    assert early["jti"] == late["jti"]
    assert early | {"iat": 0} == late | {"iat": 0}
