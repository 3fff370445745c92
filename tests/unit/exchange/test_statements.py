"""What is said about a verification."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import orjson
from joserfc import jws

from gateway.core.consent import Consented
from gateway.core.model import Notice
from gateway.exchange import statements
from gateway.exchange.statements import Signatory
from gateway.ports import Position
from gateway.profiles.cdi_v1 import CdiV1
from tests import samples
from tests.fakes_flows import FakePayloads, FakeSigner
from tests.fakes_profiles import CONSENT_ID, KeySigner, validators
from tests.samples import NOW

CONSENT = samples.consent()
EXCHANGE = samples.exchange(CONSENT, attempts=2)
CONSENTED = Consented(consent=CONSENT, scope=CONSENT.scope, document=EXCHANGE.document, checked_at=NOW)
SIGNATORY = Signatory(signer=FakeSigner(), payloads=FakePayloads())
CODEC = CdiV1(
    validators(), public_url="https://gateway.example", gateway_id="HKGATEWAY01", log_origin="gateway.example/log"
)


def test_intent_and_outcome_speak_of_the_same_request_and_of_who_asked() -> None:
    intended = statements.intended(EXCHANGE, CONSENTED, NOW)
    decided = statements.decided(EXCHANGE, CONSENTED, samples.verdict(), NOW + 1, took_seconds=0.0125)
    assert (intended.request, intended.actor) == (decided.request, decided.actor)
    assert intended.actor is not None
    assert (intended.actor.participant, intended.actor.certificate) == (EXCHANGE.consumer_id, EXCHANGE.certificate)
    assert (intended.outcome, intended.attempts) == (None, None)
    assert (decided.outcome, decided.evidence, decided.attempts, decided.latency_ms) == ("MATCH", "evidence-1", 3, 12)


def test_an_outcome_without_evidence_names_none() -> None:
    decided = statements.decided(EXCHANGE, CONSENTED, samples.verdict(evidence=None), NOW, took_seconds=0)
    assert decided.evidence is None


def test_the_report_is_signed_with_its_type_and_known_by_its_hash() -> None:
    made = SIGNATORY.report(EXCHANGE, samples.verdict(), NOW)
    kind, payload, _ = made.jws.split(".")
    assert (kind, orjson.loads(bytes.fromhex(payload))["outcome"]) == ("cdi-report+jws", "MATCH")
    assert made.sha256 == hashlib.sha256(made.jws.encode()).hexdigest()
    assert (made.name, made.key_id) == (statements.REPORT_NAME, FakeSigner.key_id)


def test_the_receipt_is_signed_with_its_type_and_names_the_record_of_the_outcome() -> None:
    verdict = samples.verdict()
    decided = statements.decided(EXCHANGE, CONSENTED, verdict, NOW, took_seconds=0)
    at = Position(index=41, leaf_hash=b"\x2a" * 32)
    made = SIGNATORY.receipt(EXCHANGE, CONSENT, verdict, NOW, recorded=decided, at=at)
    kind, payload, _ = made.jws.split(".")
    said = orjson.loads(bytes.fromhex(payload))
    assert kind == "cdi-receipt+jwt"
    assert (said["consentHash"], said["index"], said["leafHash"]) == (CONSENT.hash_key, 41, "2a" * 32)
    assert (made.logged.record_id, made.logged.index, made.logged.leaf_hash) == (decided.record_id, 41, b"\x2a" * 32)


NOTICE = Notice(
    sequence=9,
    participant_id=CONSENT.consumer_id,
    type="CONSENT_REVOKED",
    time=NOW,
    consent_id=CONSENT_ID,
    detail="CUSTOMER_REQUEST",
)


def test_a_notice_of_a_consent_s_status_is_signed_as_a_security_event() -> None:
    signer = KeySigner("reports-1")
    token = Signatory(signer=signer, payloads=CODEC).event(NOTICE, NOW)
    assert token is not None
    read = jws.deserialize_compact(token, signer.key, algorithms=["ES256"])
    assert read.headers() == {"alg": "ES256", "kid": "reports-1", "typ": "secevent+jwt"}
    said = orjson.loads(read.payload)
    assert said["events"]["urn:cdi-gateway:event:consent-revoked"]["consentId"] == CONSENT_ID
    assert said["jti"] == "notice-9"


def test_a_notice_of_something_else_has_no_signed_form() -> None:
    final = replace(NOTICE, type="DATA_REQUEST_FINAL")
    assert Signatory(signer=KeySigner("reports-1"), payloads=CODEC).event(final, NOW) is None
