"""kill -9 between the steps of an authorization: nothing is lost, nothing happens twice, and the bank can go on.

At every end the consent's state, the audit log and the bank's notices say the same.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio

from tests.end_to_end.fapi import TLS, check_refusal
from tests.end_to_end.visitor import filled
from tests.faults.authorization import Trial, place, trial_in
from tests.live_sandbox import Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")

MACHINE = {"grant_type": "client_credentials", "scope": "cdi:consents"}
# Of the kill: when the request has left, when its record is durable, when its answer has left. Nobody sees the answer.
MOMENTS = pytest.mark.parametrize("moment", ["sent", "recorded", "answered"])


@pytest_asyncio.fixture(loop_scope="session")
async def trial(scene: Scene) -> AsyncIterator[Trial]:
    async with trial_in(scene) as trial:
        yield trial


async def check_agreement(trial: Trial, consent: Mapping[str, Any], status: str) -> None:
    """State, log and notices tell one story, each thing once."""
    assert await trial.status(consent) == status
    expected = {"ConsentSubmitted": (0, 0), "ConsentValid": (1, 0), "ConsentRevoked": (1, 1)}[status]
    for kind, notice, times in (
        ("consent.validated", "CONSENT_VALID", expected[0]),
        ("consent.revoked", "CONSENT_REVOKED", expected[1]),
    ):
        assert len(trial.recorded(kind, consent)) == times, kind
        assert await trial.notices(consent, notice) == times, notice


# --- kill -9 -------------------------------------------------------------------------------------------------------


async def test_a_pushed_request_and_its_consent_survive(trial: Trial) -> None:
    pushed = await trial.fapi.pushed()
    await trial.crash()
    await check_agreement(trial, pushed.consent, "ConsentSubmitted")
    code = await trial.approve(pushed, await trial.form(pushed))
    assert (await trial.fapi.redeem(code)).status == 200
    await check_agreement(trial, pushed.consent, "ConsentValid")


async def test_an_owner_goes_on_with_the_page_that_was_open(trial: Trial) -> None:
    pushed, form = await trial.asked()
    await trial.crash()
    answer = await trial.fapi.redeem(await trial.approve(pushed, form))
    assert (await trial.used(pushed.consent, answer.json["access_token"])).status == 200
    await check_agreement(trial, pushed.consent, "ConsentValid")


async def test_who_signed_out_stays_signed_out(trial: Trial) -> None:
    await trial.owner.sign_in()
    ended = dict(trial.owner.cookies)
    await trial.owner.post("/logout", filled(await trial.owner.form("/consents", "/logout")))
    await trial.owner.sign_in()
    alive = dict(trial.owner.cookies)
    await trial.crash()
    for cookies, signed_in in ((ended, False), (alive, True)):
        trial.owner.cookies = dict(cookies)
        assert ((await trial.owner.get("/consents")).page.form_to("/logout") is not None) is signed_in


@MOMENTS
async def test_an_approval_counts_once_or_not_at_all(moment: str, trial: Trial) -> None:
    pushed, form = await trial.asked()
    async with trial.deciding(pushed, form) as connection:
        if moment == "recorded":
            await trial.until_recorded("consent.validated", pushed.consent)
        if moment == "answered":
            assert (await connection.reply()).status == 303
        await trial.scene.world.kill_gateway()
    await trial.scene.world.start_gateway()
    status = await trial.status(pushed.consent)
    assert status in ({"ConsentValid"} if moment != "sent" else {"ConsentSubmitted", "ConsentValid"})
    await check_agreement(trial, pushed.consent, status)

    # The old request asks whether to go on, or is gone; the bank's next one goes on in any case.
    assert (await trial.owner.get(place(pushed))).status in ({410} if moment == "answered" else {200, 410})
    reply = await trial.go_on(pushed.consent)
    assert reply.status == 200, reply.body
    await check_agreement(trial, pushed.consent, "ConsentValid")
    assert len(trial.recorded("token.issued", pushed.consent)) == 1


@MOMENTS
async def test_a_code_is_redeemed_once_or_not_at_all(moment: str, trial: Trial) -> None:
    pushed, form = await trial.asked()
    code = await trial.approve(pushed, form)
    token = None
    async with trial.redeeming(code) as connection:
        if moment == "recorded":
            await trial.until_recorded("token.issued", pushed.consent)
        if moment == "answered":
            token = (await connection.reply()).json()["access_token"]
        await trial.scene.world.kill_gateway()
    await trial.scene.world.start_gateway()
    again = await trial.fapi.redeem(code)
    if moment != "sent":
        check_refusal(again, "invalid_grant")
    assert again.status in {200, 400}
    assert len(trial.recorded("token.issued", pushed.consent)) == 1
    if token is not None:  # RFC 6749 §4.1.2: what was issued on a code that comes again is not good any more
        assert (await trial.used(pushed.consent, token)).status == 401

    reply = await trial.go_on(pushed.consent)
    assert reply.status == 200, reply.body
    assert (await trial.used(pushed.consent, reply.json["access_token"])).status == 200
    await check_agreement(trial, pushed.consent, "ConsentValid")


async def test_a_code_whose_answer_was_lost_on_the_way_is_not_given_again(trial: Trial) -> None:
    """No crash: the connection breaks. What was issued is on record, and nobody else gets anything for the code."""
    pushed, form = await trial.asked()
    code = await trial.approve(pushed, form)
    async with trial.redeeming(code):
        pass
    await trial.until_recorded("token.issued", pushed.consent)
    check_refusal(await trial.fapi.redeem(code), "invalid_grant")
    assert len(trial.recorded("token.issued", pushed.consent)) == 1
    assert (await trial.go_on(pushed.consent)).status == 200


async def test_what_was_revoked_stays_revoked(trial: Trial) -> None:
    """By the owner, by the bank, by grant management, by the token's client, and by a code that came twice."""
    fapi = trial.fapi
    ends = ("owner", "bank", "grant", "token", "reuse")
    given: dict[str, tuple[Any, dict[str, Any]]] = {}
    for end in ends:
        pushed, form = await trial.asked()
        code = await trial.approve(pushed, form)
        answer = (await fapi.redeem(code)).json
        given[end] = pushed.consent, answer
        if end == "owner":
            page = await trial.owner.form(f"/consents/{pushed.consent['consentId']}", "/revocation")
            assert (await trial.owner.post(page.action, filled(page))).status == 303
        elif end == "bank":
            machine = await fapi.stage.machine_token()
            assert (await trial.scene.bank.revoke_consent(pushed.consent["consentId"], token=machine)).status == 200
        elif end == "grant":
            manager = await fapi.ask("token", TLS, MACHINE | {"scope": "grant_management_revoke"})
            path = f"/oauth/grants/{answer['grant_id']}"
            assert (await fapi.call("DELETE", path, manager.json["access_token"])).status == 204
        elif end == "token":
            assert (await fapi.ask("revoke", TLS, {"token": answer["access_token"]})).status == 200
        else:
            check_refusal(await fapi.redeem(code), "invalid_grant")
    await trial.crash()
    for end, (consent, answer) in given.items():
        reply = await trial.used(consent, answer["access_token"])
        assert reply.status in {401, 403}, end
        refreshed = await fapi.ask(
            "token", TLS, {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
        )
        assert refreshed.status == (200 if end == "token" else 400), end  # one access token ended, not its grant
        await check_agreement(trial, consent, "ConsentRevoked" if end in {"owner", "bank"} else "ConsentValid")


# --- what the server stands on ---------------------------------------------------------------------------------------


async def test_a_log_that_takes_no_record_gives_no_code_and_no_token(trial: Trial) -> None:
    """Somebody else holds its database. The consent's own change waits with its record, and both are there later."""
    pushed, form = await trial.asked()
    with closing(sqlite3.connect(trial.scene.world.folder / "data/audit.db", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        seen, answer = await asyncio.gather(
            trial.owner.post(place(pushed), form), trial.fapi.ask("token", TLS, MACHINE)
        )
    assert (seen.status, "Location" in seen.headers, "Retry-After" in seen.headers) == (503, False, True)
    assert "This does not work at the moment" in seen.page.text
    assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
    assert "Retry-After" in answer.headers
    code = await trial.approve(pushed, form)  # the owner tries again
    assert (await trial.fapi.redeem(code)).status == 200
    await check_agreement(trial, pushed.consent, "ConsentValid")
    assert len(trial.recorded("token.issued", pushed.consent)) == 1


async def test_a_login_provider_that_is_down_decides_nothing(trial: Trial) -> None:
    """Nor does it keep the gateway from starting."""
    world = trial.scene.world
    pushed = await trial.fapi.pushed()
    await world.stop_login()
    try:
        await trial.crash()  # what it knew of the provider is gone
        for path in (place(pushed), "/login"):
            seen = await trial.owner.get(path)
            assert (seen.status, "Retry-After" in seen.headers) == (503, True)
            assert "This does not work at the moment" in seen.page.text
        assert await trial.status(pushed.consent) == "ConsentSubmitted"
    finally:
        await world.start_login()
    await trial.crash()  # sooner than the pause that `Retry-After` names
    code = await trial.approve(pushed, await trial.form(pushed))
    assert (await trial.fapi.redeem(code)).status == 200


async def test_a_login_provider_that_goes_down_between_the_steps_can_be_asked_again(trial: Trial) -> None:
    world = trial.scene.world
    pushed = await trial.fapi.pushed()
    back = await trial.owner.begin_sign_in(place(pushed))
    await world.stop_login()
    try:
        seen = await trial.owner.get(back.location)
        assert (seen.status, "Retry-After" in seen.headers) == (503, True)
    finally:
        await world.start_login()
    code = await trial.approve(pushed, await trial.form(pushed))
    assert (await trial.fapi.redeem(code)).status == 200
