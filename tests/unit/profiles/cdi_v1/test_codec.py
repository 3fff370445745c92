from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
import rfc8785

from gateway.core.consent import DataRequest
from gateway.core.model import ConsentStatus, Exchange, ExchangeStatus, Notice, Outcome
from gateway.errors import ConsentExpired, GatewayError, SchemaInvalid, TooLarge
from gateway.exchange.consents import NOTICE_OF
from gateway.profiles.cdi_v1 import CdiV1
from gateway.profiles.validation import InvalidOutput
from tests.fakes_profiles import (
    CONSENT_ID,
    DIGESTS,
    INTERACTION,
    LOGGED,
    NOW,
    REPORT,
    REQUEST_ID,
    RESPONSE_ID,
    KeySigner,
    consent,
    evidence,
    exchange,
    validators,
    vectors,
    verdict,
)

EVIDENCE = evidence(KeySigner("issuer"), KeySigner("ledger"))
MESSAGES = {name.removeprefix("schemas/cdi/v1/"): vector["message"] for name, vector in vectors("schemas/cdi/v1")}


@pytest.fixture
def codec() -> CdiV1:
    return CdiV1(
        validators(), public_url="https://gateway.example", gateway_id="HKGATEWAY01", log_origin="gateway.example/log"
    )


def test_requests_are_parsed(codec: CdiV1) -> None:
    consent_request = orjson.dumps(MESSAGES["consent-request/by-reference"])
    data_request = orjson.dumps(MESSAGES["data-request-request/smallest"])
    assert codec.parse_consent_request(consent_request).purpose == "SME_LOAN_UNDERWRITING"
    assert codec.parse_data_request(data_request).consent_id == CONSENT_ID


def test_message_that_breaks_its_schema_is_refused(codec: CdiV1) -> None:
    with pytest.raises(SchemaInvalid) as refusal:
        codec.parse_data_request(b'{"consentId":"canary"}')
    assert "canary" not in str(refusal.value.violations)


def test_each_item_of_a_batch_stands_alone(codec: CdiV1) -> None:
    good: dict[str, Any] = MESSAGES["data-request-request/both-digests"]
    twice = good | {"document": good["document"] | {"digests": [good["document"]["digests"][0]] * 2}}
    items = codec.parse_batch(orjson.dumps({"requests": [good, {"consentId": 1}, twice]}), items_max=10)
    assert isinstance(items[0], DataRequest)
    for index in (1, 2):
        refused = items[index]
        assert isinstance(refused, SchemaInvalid)
        assert all(violation.pointer.startswith(f"/requests/{index}") for violation in refused.violations)


def test_batch_above_the_limit_is_refused_as_a_whole(codec: CdiV1) -> None:
    with pytest.raises(TooLarge):
        codec.parse_batch(b'{"requests":[{},{},{}]}', items_max=2)
    with pytest.raises(SchemaInvalid):
        codec.parse_batch(orjson.dumps({"requests": [{}] * 1001}), items_max=2)
    with pytest.raises(SchemaInvalid):
        codec.parse_batch(b'{"requests":[]}', items_max=2)


@pytest.mark.parametrize(("text", "code"), [("CUSTOMER_REQUEST", "CUSTOMER_REQUEST"), ("owner-7 called", "OTHER")])
def test_free_text_of_a_reason_is_not_kept(codec: CdiV1, text: str, code: str) -> None:
    assert codec.parse_revocation(orjson.dumps({"reason": text})) == code
    assert codec.parse_cancellation(orjson.dumps({"reason": text})) == code


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_cancellation_needs_no_reason(codec: CdiV1, body: bytes) -> None:
    assert codec.parse_cancellation(body) == "OTHER"


def test_reception_names_the_file_by_its_hash(codec: CdiV1) -> None:
    assert codec.parse_reception(orjson.dumps({"fileHash": "7f" * 32})) == ("7f" * 32, None)
    full = orjson.dumps({"fileHash": "7f" * 32, "dataResponseId": RESPONSE_ID})
    assert codec.parse_reception(full) == ("7f" * 32, RESPONSE_ID)


@pytest.mark.parametrize("status", ConsentStatus)
def test_consent_is_rendered_in_every_status(codec: CdiV1, status: ConsentStatus) -> None:
    assert orjson.loads(codec.render_consent(consent(status=status)))["status"] == status.value


@pytest.mark.parametrize("status", ExchangeStatus)
def test_data_request_is_rendered_in_every_status(codec: CdiV1, status: ExchangeStatus) -> None:
    assert orjson.loads(codec.render_exchange(exchange(status=status)))["status"] == status.value


def test_page_says_where_the_next_begins_only_when_there_is_one(codec: CdiV1) -> None:
    assert orjson.loads(codec.render_consents([consent()], CONSENT_ID))["next"] == CONSENT_ID
    assert "next" not in orjson.loads(codec.render_consents([]))
    assert orjson.loads(codec.render_exchanges([exchange()], REQUEST_ID))["next"] == REQUEST_ID
    assert orjson.loads(codec.render_exchanges([])) == {"dataRequests": []}


def test_notices_always_say_where_to_continue(codec: CdiV1) -> None:
    notice = Notice(sequence=9, participant_id="BANKA01DC", type="DATA_REQUEST_FINAL", time=NOW, detail="TIMEOUT")
    assert orjson.loads(codec.render_notices([(notice, None)], 9))["next"] == 9
    assert orjson.loads(codec.render_notices([], 9)) == {"notices": [], "next": 9}


def told(kind: str, detail: str | None = None) -> Notice:
    return Notice(sequence=9, participant_id="BANKA01DC", type=kind, time=NOW - 5, consent_id=CONSENT_ID, detail=detail)


def test_notices_carry_their_signed_form_where_there_is_one(codec: CdiV1) -> None:
    revoked, final = told("CONSENT_REVOKED", "CUSTOMER_REQUEST"), told("DATA_REQUEST_FINAL", "TIMEOUT")
    payload = codec.consent_event_payload(revoked, NOW)
    assert payload is not None
    token = KeySigner("reports").sign_jws({"typ": "secevent+jwt"}, payload)
    first, second = orjson.loads(codec.render_notices([(revoked, token), (final, None)], 9))["notices"]
    assert first["token"] == token
    assert "token" not in second


def test_what_is_no_token_does_not_leave_as_one(codec: CdiV1) -> None:
    with pytest.raises(InvalidOutput) as bug:
        codec.render_notices([(told("CONSENT_REVOKED"), "canary without any signature")], 9)
    assert str(bug.value) == "cdi/v1/signed-notice-list: pattern at '/notices/0/token'"


def test_event_is_canonical_and_says_what_became_of_which_consent_when(codec: CdiV1) -> None:
    payload = codec.consent_event_payload(told("CONSENT_REVOKED", "CUSTOMER_REQUEST"), NOW + 0.7)
    assert payload is not None
    body = orjson.loads(payload)
    assert payload == rfc8785.dumps(body)
    assert body == {
        "iss": "HKGATEWAY01",
        "aud": "BANKA01DC",
        "iat": NOW,
        "jti": "notice-9",
        "toe": NOW - 5,
        "events": {
            "urn:cdi-gateway:event:consent-revoked": {
                "consentId": CONSENT_ID,
                "status": "ConsentRevoked",
                "reason": "CUSTOMER_REQUEST",
            }
        },
    }


@pytest.mark.parametrize("status", [status for status in ConsentStatus if status is not ConsentStatus.SUBMITTED])
def test_every_status_that_a_bank_is_told_of_has_its_event(codec: CdiV1, status: ConsentStatus) -> None:
    payload = codec.consent_event_payload(told(NOTICE_OF[status]), NOW)
    assert payload is not None
    ((name, event),) = orjson.loads(payload)["events"].items()
    assert event == {"consentId": CONSENT_ID, "status": status.value}
    assert name == f"urn:cdi-gateway:event:consent-{status.value.removeprefix('Consent').lower()}"


@pytest.mark.parametrize("kind", ["DATA_REQUEST_FINAL", "EVIDENCE_REVOKED"])
def test_what_is_not_about_a_consent_s_status_is_not_signed(codec: CdiV1, kind: str) -> None:
    assert codec.consent_event_payload(told(kind), NOW) is None


def test_event_about_no_consent_is_a_bug_of_ours(codec: CdiV1) -> None:
    with pytest.raises(InvalidOutput):
        codec.consent_event_payload(replace(told("CONSENT_VALID"), consent_id=None), NOW)


def test_owner_s_receipt_is_canonical_and_says_what_was_permitted_to_whom(codec: CdiV1) -> None:
    permitted = consent(used=1, max_uses=3, updated_at=NOW + 60)
    payload = codec.consent_receipt_payload(permitted, NOW + 90.7)
    body = orjson.loads(payload)
    assert payload == rfc8785.dumps(body)
    assert body == {
        "iss": "HKGATEWAY01",
        "iat": NOW + 90,
        "consentId": CONSENT_ID,
        "consentHash": permitted.hash_key,
        "dataConsumerId": "BANKA01DC",
        "dataConsumerName": "Bank A",
        "dataProviderId": "SZCREDIT01DP",
        "dataProviderName": "Shenzhen Credit",
        "scope": {"scopeType": "DataScopeTypeUDR", "documentType": "CORPORATE_CREDIT_REPORT"},
        "purpose": "SME_LOAN_UNDERWRITING",
        "status": "ConsentValid",
        "createTime": NOW,
        "updateTime": NOW + 60,
        "expireTime": NOW + 3_600,
        "usage": {"maxUses": 3, "used": 1},
    }


@pytest.mark.parametrize("status", ConsentStatus)
def test_owner_has_a_receipt_of_a_consent_in_every_status(codec: CdiV1, status: ConsentStatus) -> None:
    assert orjson.loads(codec.consent_receipt_payload(consent(status=status), NOW))["status"] == status.value


def test_owner_s_receipt_names_neither_owner_nor_voucher(codec: CdiV1) -> None:
    payload = codec.consent_receipt_payload(consent(), NOW).decode()
    for private in (consent().subject, "voucher-canary"):
        assert private not in payload


def test_batch_result_has_the_status_that_each_would_have_had_alone(codec: CdiV1) -> None:
    results: list[Exchange | GatewayError] = [
        exchange(),
        exchange(status=ExchangeStatus.SHARED),
        ConsentExpired(private="canary"),
    ]
    body = codec.render_batch(results, INTERACTION)
    assert [result["status"] for result in orjson.loads(body)["results"]] == [202, 200, 403]
    assert b"canary" not in body


def test_digests_are_rendered(codec: CdiV1) -> None:
    assert orjson.loads(codec.render_digests(0, DIGESTS))["size"] == 0


def test_report_is_canonical_and_complete(codec: CdiV1) -> None:
    shared = exchange(status=ExchangeStatus.SHARED, report=REPORT, response_id=RESPONSE_ID)
    payload = codec.report_payload(shared, verdict(EVIDENCE), NOW + 0.7)
    body = orjson.loads(payload)
    assert payload == rfc8785.dumps(body)
    assert (body["gateway"], body["dataConsumerId"], body["time"]) == ("HKGATEWAY01", "BANKA01DC", NOW)
    assert body["verification"]["evidence"]["chain"]["proof"]["path"]


def test_receipt_is_canonical_and_says_what_was_found_out_about_which_document(codec: CdiV1) -> None:
    payload = codec.receipt_payload(exchange(), consent(), verdict(EVIDENCE), LOGGED, NOW + 0.7)
    body = orjson.loads(payload)
    assert payload == rfc8785.dumps(body)
    assert body == {
        "iss": "HKGATEWAY01",
        "aud": "BANKA01DC",
        "iat": NOW,
        "jti": LOGGED.record_id,
        "dataRequestId": exchange().exchange_id,
        "consentId": CONSENT_ID,
        "consentHash": consent().hash_key,
        "purpose": "SME_LOAN_UNDERWRITING",
        "outcome": "MATCH",
        "integrity": "VALID",
        "status": "VALID",
        "issuer": "VALID",
        "document": {
            "type": "CORPORATE_CREDIT_REPORT",
            "issuerId": "SZCREDIT01DP",
            "digests": [{"algorithm": digest.algorithm.value, "value": digest.value} for digest in DIGESTS],
        },
        "evidence": "EV-0001",
        "checkedAt": NOW,
        "log": {"origin": "gateway.example/log", "index": 41, "leafHash": "2a" * 32},
    }


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.final])
def test_every_final_outcome_has_its_receipt(codec: CdiV1, outcome: Outcome) -> None:
    body = orjson.loads(codec.receipt_payload(exchange(), consent(), verdict(outcome=outcome), LOGGED, NOW))
    assert body["outcome"] == outcome.value
    assert "evidence" not in body


def test_receipt_names_nobody_but_the_institutions(codec: CdiV1) -> None:
    payload = codec.receipt_payload(exchange(), consent(), verdict(EVIDENCE), LOGGED, NOW).decode()
    for private in (consent().subject, exchange().client_id, exchange().certificate, "voucher-canary", "Bank A"):
        assert private not in payload


def test_pending_proof_says_where_the_record_stands(codec: CdiV1) -> None:
    assert orjson.loads(codec.render_proof_pending(exchange(), LOGGED, 40)) == {
        "dataRequestId": exchange().exchange_id,
        "log": {"origin": "gateway.example/log", "index": 41, "leafHash": "2a" * 32},
        "covered": 40,
    }


def test_wrong_message_of_our_own_does_not_leave(codec: CdiV1) -> None:
    with pytest.raises(InvalidOutput) as bug:
        codec.render_consent(replace(consent(), purpose="canary"))
    assert str(bug.value) == "cdi/v1/consent: enum at '/purpose'"
