"""The life of a consent as its bank and its owner see it by HTTP: approval, use, refusal, revocation, expiry.

Whoever ends it, the bank finds a notice that it can show to others, and its owner a receipt.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest
import pytest_asyncio

from adapters.sandbox.cast import GATEWAY_ID
from gateway.authorization.owners import RECEIPT_TYPE
from gateway.exchange.statements import EVENT_TYPE
from gateway.profiles.dvp_v1 import signature
from gateway.profiles.dvp_v1.signature import SignatureError
from tests.end_to_end.fapi import TLS, Fapi, check_refusal
from tests.end_to_end.stage import VALIDATORS, Stage, check_problem
from tests.end_to_end.test_oauth_attacks import by_bank, by_operator, by_owner, by_source
from tests.end_to_end.test_page_attacks import auth_code, interaction, spent
from tests.end_to_end.visitor import Visitor, filled

WAIT_SECONDS = 20


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(stage: Stage) -> AsyncIterator[Visitor]:
    async with Visitor(stage) as visitor:
        await visitor.sign_in()
        yield visitor


def keys(stage: Stage) -> Any:
    return signature.key_set((stage.folder / stage.world.description["reports"]["jwks"]).read_bytes())


async def notice_of(fapi: Fapi, consent: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The bank's notice of this consent, once it is there; its signed form verified."""
    token, after = await fapi.stage.machine_token(), 0
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            reply = await fapi.call("GET", f"/cdi/v1/notices?after={after}&wait=5&limit=200", token)
            assert reply.status == 200
            for notice in reply.json["notices"]:
                if (notice.get("consentId"), notice["type"]) == (consent["consentId"], kind):
                    return dict(notice)
            after = reply.json["next"]


def event_of(fapi: Fapi, notice: Mapping[str, Any]) -> dict[str, Any]:
    """What the gateway signed: RFC 8417, under the report key."""
    claims: dict[str, Any] = orjson.loads(signature.verify(notice["token"].encode(), keys(fapi.stage), EVENT_TYPE))
    assert VALIDATORS.is_valid("cdi/v1/consent-event", claims), claims
    assert (claims["iss"], claims["aud"]) == (GATEWAY_ID, fapi.stage.bank_a.participant_id)
    (event,) = claims["events"].values()
    assert event["consentId"] == notice["consentId"]
    return dict(event)


async def receipt_of(owner: Visitor, consent: Mapping[str, Any]) -> dict[str, Any]:
    """What the owner downloads, verified."""
    seen = await owner.get(f"/consents/{consent['consentId']}/receipt")
    assert seen.status == 200
    assert seen.headers["Content-Disposition"].startswith("attachment; filename=")
    claims: dict[str, Any] = orjson.loads(signature.verify(seen.body, keys(owner.stage), RECEIPT_TYPE))
    assert VALIDATORS.is_valid("cdi/v1/consent-receipt", claims), claims
    assert (claims["consentId"], claims["consentHash"]) == (consent["consentId"], consent["hashKey"])
    return claims


async def status_of(fapi: Fapi, consent: Mapping[str, Any]) -> str:
    reply = await fapi.call("GET", f"/cdi/v1/consents/{consent['consentId']}", await fapi.stage.machine_token())
    return str(reply.json["status"])


# --- approval --------------------------------------------------------------------------------------------------


async def test_approved_on_the_page_and_used_up(fapi: Fapi, owner: Visitor) -> None:
    consent = await fapi.consent(max_uses=1)
    assert (await status_of(fapi, consent), (await receipt_of(owner, consent))["status"]) == (
        "ConsentSubmitted",
        "ConsentSubmitted",
    )
    token = (await fapi.tokens(TLS, consent))["access_token"]
    assert event_of(fapi, await notice_of(fapi, consent, "CONSENT_VALID"))["status"] == "ConsentValid"
    assert (await fapi.verify(consent, token)).json["verification"]["outcome"] == "MATCH"
    check_problem(await fapi.verify(consent, token), "CONSENT_CONSUMED")
    receipt = await receipt_of(owner, consent)
    assert (receipt["status"], receipt["usage"]) == ("ConsentConsumed", {"maxUses": 1, "used": 1})
    assert "1 of 1" in (await owner.get(f"/consents/{consent['consentId']}")).page.text


async def test_approved_by_auth_code_without_a_redirect(fapi: Fapi, owner: Visitor) -> None:
    """CDI's way: the owner obtains a code, the bank types it in, and the consent is valid at once."""
    code = await auth_code(owner)
    assert re.fullmatch(r"[2-9A-HJKMNP-Z]{10}", code)
    consent = await spent(fapi, f"{code[:5]}-{code[5:]}")  # as people write it
    assert consent["status"] == "ConsentValid"
    event_of(fapi, await notice_of(fapi, consent, "CONSENT_VALID"))
    form = {
        "grant_type": "client_credentials",
        "scope": "cdi:data-requests",
        "authorization_details": f'[{{"type":"cdi_consent","consentId":"{consent["consentId"]}"}}]',
    }
    answers = [(await fapi.ask("token", TLS, form)).json for _ in range(2)]
    assert answers[0]["grant_id"] == answers[1]["grant_id"]
    token = answers[0]["access_token"]
    assert (await fapi.verify(consent, token)).json["verification"]["outcome"] == "MATCH"
    assert (await receipt_of(owner, consent))["status"] == "ConsentValid"
    # And it ends as every other does.
    await by_owner(fapi, consent, {})
    check_problem(await fapi.verify(consent, token), "CONSENT_REVOKED")
    check_refusal(await fapi.ask("token", TLS, form), "invalid_grant")


async def test_a_valid_consent_is_gone_on_with_and_not_approved_again(fapi: Fapi, owner: Visitor) -> None:
    """Another client of the bank, or the same one that lost its tokens: the owner is asked whether to go on."""
    consent = await fapi.consent()
    first = await fapi.tokens(TLS, consent)
    second = await fapi.pushed(TLS, consent)
    page = (await owner.get(interaction(second))).page
    assert page.form_with_button("approve") is not None
    again = await fapi.redeem(await fapi.decided(second))
    assert again.json["grant_id"] != first["grant_id"]
    for token in (first["access_token"], again.json["access_token"]):
        assert (await fapi.verify(consent, token)).status == 200


# --- the end ---------------------------------------------------------------------------------------------------


async def test_refused_by_its_owner(fapi: Fapi, owner: Visitor) -> None:
    consent = await fapi.consent()
    request = await fapi.pushed(TLS, consent)
    answer = (await fapi.decided(request, approve=False)).answer
    assert answer["error"] == "access_denied"
    event = event_of(fapi, await notice_of(fapi, consent, "CONSENT_REJECTED"))
    assert event["status"] == "ConsentRejected"
    assert (await status_of(fapi, consent), (await receipt_of(owner, consent))["status"]) == ("ConsentRejected",) * 2


WHO = {"owner": by_owner, "bank": by_bank, "source": by_source, "operator": by_operator}


@pytest.mark.parametrize("who", WHO)
async def test_revoked(who: str, fapi: Fapi, owner: Visitor) -> None:
    consent = await fapi.consent(provider_id="HKSOURCE1DP", document_type="BANK_STATEMENT")
    await fapi.tokens(TLS, consent)
    await WHO[who](fapi, consent, {})
    event = event_of(fapi, await notice_of(fapi, consent, "CONSENT_REVOKED"))
    expected = "LEGAL_ORDER" if who == "operator" else "CUSTOMER_REQUEST" if who == "owner" else "OTHER"
    assert (event["status"], event["reason"]) == ("ConsentRevoked", expected)
    assert (await receipt_of(owner, consent))["status"] == "ConsentRevoked"
    page = await owner.get(f"/consents/{consent['consentId']}")
    assert page.page.form_to("/revocation") is None  # there is nothing left to revoke
    # A second time, by whomever, it has ended before.
    reply = await fapi.stage.bank_a.revoke_consent(consent["consentId"], token=await fapi.stage.machine_token())
    check_problem(reply, "STATE_CONFLICT")
    csrf = filled(await owner.form("/consents", "/logout"))["csrf"]
    seen = await owner.post(f"/consents/{consent['consentId']}/revocation", {"csrf": csrf, "reason": "OTHER"})
    assert (seen.status, seen.headers["Location"]) == (303, f"/consents/{consent['consentId']}")


async def test_expired(fapi: Fapi, owner: Visitor) -> None:
    consent = await fapi.consent()
    tokens = await fapi.tokens(TLS, consent)
    fapi.age("consents", "expire_time", "consent_id", consent["consentId"])
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    check_refusal(await fapi.ask("token", TLS, refresh), "invalid_grant")
    check_problem(await fapi.verify(consent, tokens["access_token"]), "CONSENT_EXPIRED")
    event = event_of(fapi, await notice_of(fapi, consent, "CONSENT_EXPIRED"))
    assert event["status"] == "ConsentExpired"
    assert (await receipt_of(owner, consent))["status"] == "ConsentExpired"
    check_refusal(await fapi.push(TLS, consent), "invalid_authorization_details")


async def test_a_submitted_consent_that_nobody_decided_expires_too(fapi: Fapi, owner: Visitor) -> None:
    consent = await fapi.consent()
    request = await fapi.pushed(TLS, consent)
    fapi.age("consents", "expire_time", "consent_id", consent["consentId"])
    assert (await fapi.decided(request)).answer["error"] == "access_denied"
    await notice_of(fapi, consent, "CONSENT_EXPIRED")


async def test_an_exchange_under_way_is_checked_again_before_it_is_delivered(fapi: Fapi) -> None:
    """The platform stands still; meanwhile the owner takes the consent back; then the platform answers."""
    consent = await fapi.consent()
    tokens = await fapi.tokens(TLS, consent)
    platform = fapi.stage.world.platform
    platform.signal(signal.SIGSTOP)
    try:
        asked = await fapi.stage.bank_a.ask(
            token=tokens["access_token"], consent=consent, digests=fapi.stage.sample["digests"]
        )
        assert (asked.status, asked.json["status"]) == (202, "PENDING")
        await by_owner(fapi, consent, {})
    finally:
        platform.signal(signal.SIGCONT)
    found = await fapi.stage.bank_a.data_request(
        asked.json["dataRequestId"], token=await fapi.stage.machine_token(), wait_seconds=WAIT_SECONDS
    )
    assert (found.json["status"], found.json["rejectReasonCode"]) == (
        "DataRequestRejected",
        "DataRequestRejectReasonInvalidConsent",
    )
    assert not found.json.get("responseList")
    assert "verification" not in found.json
    assert "receipt" not in found.json


async def test_receipts_reports_and_events_cannot_be_taken_for_each_other(fapi: Fapi, owner: Visitor) -> None:
    consent = await fapi.consent()
    await fapi.tokens(TLS, consent)
    receipt = (await owner.get(f"/consents/{consent['consentId']}/receipt")).body
    event = (await notice_of(fapi, consent, "CONSENT_VALID"))["token"].encode()
    for token, typ in ((receipt, EVENT_TYPE), (event, RECEIPT_TYPE)):
        with pytest.raises(SignatureError):
            signature.verify(token, keys(fapi.stage), typ)
