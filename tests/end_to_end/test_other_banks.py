"""What belongs to another bank does not exist: the same bytes as for an id that nobody has."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import pytest_asyncio

from adapters.sandbox.bank import Reply
from tests.end_to_end.stage import EXTERNAL, Stage, check_problem

PREFIX = "/cdi/v1"
# What two answers may differ in: who asked when, never what about.
_OWN_FIELDS = {"Date", "x-fapi-interaction-id", "RateLimit"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What bank-a has: a consumed consent, an open one, a shared data request with its file."""

    consent: dict[str, Any]
    consumed: dict[str, Any]
    data_request: dict[str, Any]
    token: str

    @property
    def file(self) -> dict[str, Any]:
        found: dict[str, Any] = self.data_request["responseList"][0]["dataFile"]
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def belongings(stage: Stage) -> AsyncIterator[Belongings]:
    consumed, token = await stage.approved()
    reply = await stage.bank_a.ask(token=token, consent=consumed, digests=stage.sample["digests"], wait_seconds=20)
    assert reply.json["verification"]["outcome"] == "MATCH"
    consent, _ = await stage.approved()
    yield Belongings(consent=consent, consumed=consumed, data_request=reply.json, token=token)


async def same_for(stage: Stage, method: str, theirs: str, nobodys: str, **sent: Any) -> Reply:
    """bank-b asks about bank-a's and about nobody's: it cannot tell the two answers apart."""
    token = await stage.machine_token(stage.bank_b)
    answers = [await stage.bank_b.call(method, PREFIX + path, token=token, **sent) for path in (theirs, nobodys)]
    return alike(*answers)


def alike(theirs: Reply, nobodys: Reply) -> Reply:
    assert theirs.status == nobodys.status
    assert _shown(theirs) == _shown(nobodys)
    return theirs


def _shown(reply: Reply) -> tuple[dict[str, str], bytes]:
    headers = {name: value for name, value in reply.headers.items() if name not in _OWN_FIELDS}
    body = reply.body.replace(orjson.loads(reply.body)["instance"].encode(), b"<instance>")
    return headers, body


async def test_consent_is_not_found(stage: Stage, belongings: Belongings) -> None:
    for consent in (belongings.consent, belongings.consumed):
        reply = await same_for(stage, "GET", f"/consents/{consent['consentId']}", f"/consents/{uuid.uuid4()}")
        check_problem(reply, "NOT_FOUND")


@pytest.mark.parametrize("body", [{"reason": "OTHER"}, {}, {"reason": "x" * 300}, []], ids=str)
async def test_consent_cannot_be_revoked(body: Any, stage: Stage, belongings: Belongings) -> None:
    """Nor does a body that would be refused tell that it is there."""
    theirs, nobodys = (f"/consents/{one}/revocation" for one in (belongings.consent["consentId"], uuid.uuid4()))
    check_problem(await same_for(stage, "POST", theirs, nobodys, json=body))
    seen = await stage.bank_a.call(
        "GET", f"{PREFIX}/consents/{belongings.consent['consentId']}", token=await stage.machine_token()
    )
    assert seen.json["status"] != "ConsentRevoked"


async def test_consent_cannot_be_asked_under(stage: Stage, belongings: Belongings) -> None:
    """Neither with a token for it that an issuer bound to the wrong bank, nor with an own consent's token."""
    own, own_token = await stage.approved(stage.bank_b)
    for consent in (belongings.consent, belongings.consumed):
        nobodys = {**consent, "consentId": str(uuid.uuid4())}
        for token_of in (stage.claims("bank-b", consent=consent), None):
            answers = []
            for asked in (consent, nobodys):
                claims = stage.claims("bank-b", consent=asked) if token_of else None
                token = stage.minted(claims) if claims else own_token
                answers.append(
                    await stage.bank_b.ask(token=token, consent=asked, digests=stage.sample["digests"], wait_seconds=1)
                )
            check_problem(alike(*answers), "CONSENT_NOT_FOUND")
    assert own["consentId"] != belongings.consent["consentId"]


async def test_consent_cannot_be_approved_by_another_banks_token(stage: Stage) -> None:
    consent = await stage.submitted()
    token = stage.minted(stage.claims("bank-b", consent=consent, iss=EXTERNAL))
    check_problem(await stage.bank_b.call("GET", f"{PREFIX}/consents/{consent['consentId']}", token=token), "NOT_FOUND")
    check_problem(
        await stage.bank_b.ask(token=token, consent=consent, digests=stage.sample["digests"]), "CONSENT_NOT_FOUND"
    )
    seen = await stage.bank_a.call(
        "GET", f"{PREFIX}/consents/{consent['consentId']}", token=await stage.machine_token()
    )
    assert seen.json["status"] == "ConsentSubmitted"


async def test_batch_item_under_another_banks_consent_is_not_found(stage: Stage, belongings: Belongings) -> None:
    items = [
        {
            "consentId": consent_id,
            "dataScope": {"scopeType": "DataScopeTypeUDR", "documentType": belongings.consent["scope"]["documentType"]},
            "purpose": belongings.consent["purpose"],
            "document": {"issuerId": belongings.consent["dataProviderId"], "digests": stage.sample["digests"]},
        }
        for consent_id in (belongings.consent["consentId"], str(uuid.uuid4()))
    ]
    _, token = await stage.approved(stage.bank_b)
    reply = await stage.bank_b.call(
        "POST", f"{PREFIX}/data-requests/batch", token=token, json={"requests": items}, key=str(uuid.uuid4())
    )
    theirs, nobodys = reply.json["results"]
    assert theirs == nobodys
    assert theirs["problem"]["code"] == "CONSENT_NOT_FOUND"


async def test_data_request_is_not_found(stage: Stage, belongings: Belongings) -> None:
    theirs, nobodys = f"/data-requests/{belongings.data_request['dataRequestId']}", f"/data-requests/{uuid.uuid4()}"
    check_problem(await same_for(stage, "GET", theirs, nobodys), "NOT_FOUND")
    check_problem(await same_for(stage, "GET", theirs, nobodys, headers={"Prefer": "wait=1"}), "NOT_FOUND")


async def test_file_is_not_found(stage: Stage, belongings: Belongings) -> None:
    path = belongings.file["filePath"].removeprefix(PREFIX)
    nobodys = path.replace(belongings.data_request["dataRequestId"], str(uuid.uuid4()))
    check_problem(await same_for(stage, "GET", path, nobodys), "NOT_FOUND")
    own = await stage.bank_a.call("GET", PREFIX + path, token=await stage.machine_token())
    assert own.status == 200


async def test_proof_is_not_found(stage: Stage, belongings: Belongings) -> None:
    theirs, nobodys = (
        f"/data-requests/{one}/proof" for one in (belongings.data_request["dataRequestId"], uuid.uuid4())
    )
    for headers in ({}, {"Prefer": "wait=1"}):
        check_problem(await same_for(stage, "GET", theirs, nobodys, headers=headers), "NOT_FOUND")
    own = await stage.bank_a.call(
        "GET", PREFIX + theirs, token=await stage.machine_token(), headers={"Prefer": "wait=20"}
    )
    assert own.status == 200


async def test_reception_and_cancellation_are_not_found(stage: Stage, belongings: Belongings) -> None:
    theirs, nobodys = belongings.data_request["dataRequestId"], uuid.uuid4()
    for step, body in (
        ("reception", {"fileHash": belongings.file["fileHash"]}),
        ("reception", {"fileHash": "0" * 64}),
        ("cancellation", {"reason": "OTHER"}),
        ("cancellation", {}),
    ):
        paths = (f"/data-requests/{one}/{step}" for one in (theirs, nobodys))
        check_problem(await same_for(stage, "POST", *paths, json=body), "NOT_FOUND")
    seen = await stage.bank_a.call("GET", f"{PREFIX}/data-requests/{theirs}", token=await stage.machine_token())
    assert seen.json["status"] == "DataRequestDataShared"


async def test_lists_and_notices_hold_nothing_of_it(stage: Stage, belongings: Belongings) -> None:
    token = await stage.machine_token(stage.bank_b)
    for path in ("/consents?limit=200", "/data-requests?limit=200", "/notices?limit=200"):
        reply = await stage.bank_b.call("GET", PREFIX + path, token=token)
        assert reply.status == 200
        for theirs in (
            belongings.consent["consentId"],
            belongings.consumed["consentId"],
            belongings.data_request["dataRequestId"],
            stage.bank_a.participant_id,
        ):
            assert theirs.encode() not in reply.body
    own = await stage.bank_a.call("GET", f"{PREFIX}/notices?limit=200", token=await stage.machine_token())
    assert belongings.consumed["consentId"].encode() in own.body


@pytest.mark.parametrize("listed", ["consents", "data-requests"])
async def test_cursor_of_another_bank_opens_nothing(listed: str, stage: Stage, belongings: Belongings) -> None:
    """Whatever is behind it, it is the asker's own, and no more than behind an id of nobody."""
    ids = {"consents": belongings.consent["consentId"], "data-requests": belongings.data_request["dataRequestId"]}
    token = await stage.machine_token(stage.bank_b)
    reply = await stage.bank_b.call("GET", f"{PREFIX}/{listed}?after={ids[listed]}", token=token)
    assert reply.status == 200
    assert stage.bank_a.participant_id.encode() not in reply.body


async def test_same_idempotency_key_of_two_banks_is_two_requests(stage: Stage) -> None:
    key = str(uuid.uuid4())
    mine, theirs = await stage.submitted(key=key), await stage.submitted(stage.bank_b, key=key)
    assert mine["consentId"] != theirs["consentId"]
    assert mine["private"]["secret"] != theirs["private"]["secret"]
