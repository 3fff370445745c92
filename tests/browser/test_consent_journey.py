"""A data owner's way through the real pages in real Chromium: from the bank to the provider, to the decision, and back.

The world is a whole sandbox; the bank's own site is the only part that is not there, and stands in for itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.async_api import Browser, Route, ViewportSize

from adapters.sandbox.bank import CONSENTS, NOTICES, Bank
from adapters.sandbox.world import World
from gateway.pages.languages import Language
from gateway.profiles.dvp_v1 import signature
from tests.browser.journey import (
    BANK_HOST,
    DOCUMENT_TYPE,
    OTHER_DOCUMENT_TYPE,
    OTHER_SOURCE,
    SOURCE,
    BankSite,
    Person,
    asked,
    person,
    pushed,
    status,
    submitted,
)
from tests.browser.test_pages import AXE_RUN

pytestmark = pytest.mark.asyncio(loop_scope="session")

LANGUAGES = pytest.mark.parametrize("language", Language)
PHONE: ViewportSize = {"width": 360, "height": 800}
FOCUSED = (
    "() => document.activeElement.value || document.activeElement.getAttribute('href') || document.activeElement.id"
)


# --- the way of an authorization -----------------------------------------------------------------------------------


@LANGUAGES
async def test_an_owner_approves_and_is_back_at_the_bank(
    language: Language, world: World, bank: Bank, shared_chromium: Browser
) -> None:
    consent, request = await asked(world, bank, max_uses=3)
    async with person(world, shared_chromium, language) as owner:
        await owner.arrive(request)
        assert await owner.heading() == owner.text("ask_title", consumer="Bank A (sandbox)")
        main = await owner.tab.get_by_role("main").inner_text()
        assert "Shenzhen Credit Source (sandbox)" in main
        assert owner.text("times", count="3") in main
        await owner.button("approve").click()
        answer = await owner.back_at(request)
        assert answer.keys() == {"code", "state", "iss"}
        assert (answer["state"], answer["iss"]) == (request.state, bank.oauth.issuer)
        assert await owner.tab.title() == "At the bank"
    assert (await bank.oauth.redeem(request, answer)).status == 201
    assert await status(bank, consent) == "ConsentValid"


@LANGUAGES
async def test_an_owner_refuses_and_the_bank_is_told(
    language: Language, world: World, bank: Bank, shared_chromium: Browser
) -> None:
    consent, request = await asked(world, bank)
    async with person(world, shared_chromium, language) as owner:
        await owner.arrive(request)
        await owner.button("refuse").click()
        answer = await owner.back_at(request)
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", request.state, bank.oauth.issuer)
    assert await status(bank, consent) == "ConsentRejected"


async def test_the_whole_way_with_the_keyboard_alone(world: World, bank: Bank, shared_chromium: Browser) -> None:
    consent, request = await asked(world, bank)
    async with person(world, shared_chromium) as owner:
        await owner.tab.goto(request.url)
        keyboard = owner.tab.keyboard
        await tab_to(owner, "login")
        await keyboard.type("owner-7")
        await keyboard.press("Tab")
        await keyboard.type("sandbox-owner-7")
        async with owner.tab.expect_navigation(url=f"{owner.base}/interactions/**"):
            await keyboard.press("Enter")
        await keyboard.press("Tab")
        await keyboard.press("Enter")  # past the header, to the question
        await tab_to(owner, "approve")
        await keyboard.press("Enter")
        answer = await owner.back_at(request)
    assert "code" in answer
    assert await status(bank, consent) == "ConsentValid"


async def test_a_browser_would_not_follow_a_form_that_leads_elsewhere(
    world: World, bank: Bank, bank_site: BankSite, shared_chromium: Browser
) -> None:
    """Without the bank's origin in its policy, the same page does not get there: the way back above is no accident."""
    _, request = await asked(world, bank)

    async def narrowed(route: Route) -> None:
        if route.request.method != "GET":
            await route.continue_()
            return
        response = await route.fetch()
        headers = dict(response.headers)
        headers["content-security-policy"] = headers["content-security-policy"].replace(f" https://{BANK_HOST}", "")
        await route.fulfill(response=response, headers=headers)

    async with person(world, shared_chromium, well_behaved=False) as owner:
        await owner.arrive(request)
        place = owner.tab.url
        await owner.context.route(place, narrowed)
        await owner.tab.goto(place)
        async with owner.tab.expect_console_message(lambda message: "form-action" in message.text):
            await owner.button("approve").click()
    assert bank_site.answers(request) == []


async def test_a_request_is_over_for_who_goes_back(
    world: World, bank: Bank, bank_site: BankSite, shared_chromium: Browser
) -> None:
    _, request = await asked(world, bank)
    async with person(world, shared_chromium) as owner:
        await owner.arrive(request)
        await owner.button("approve").click()
        await owner.back_at(request)
        await owner.tab.go_back()
        assert await owner.heading() == owner.text("problem_request_gone_title")
    assert len(bank_site.answers(request)) == 1


async def test_who_approved_before_is_asked_whether_to_go_on(
    world: World, bank: Bank, shared_chromium: Browser
) -> None:
    consent, first = await asked(world, bank)
    async with person(world, shared_chromium) as owner:
        await owner.arrive(first)
        await owner.button("approve").click()
        await owner.back_at(first)
        second = await pushed(bank, consent)
        await owner.arrive(second)
        assert await owner.heading() == owner.text("already_title")
        await owner.button("continue").click()
        answer = await owner.back_at(second)
    assert (await bank.oauth.redeem(second, answer)).status == 201


async def test_somebody_else_signs_out_and_the_right_person_goes_on(
    world: World, bank: Bank, shared_chromium: Browser
) -> None:
    consent, request = await asked(world, bank)
    async with person(world, shared_chromium) as owner:
        await owner.arrive(request, "owner-8")
        assert await owner.heading() == owner.text("problem_not_yours_title")
        assert "Bank A" not in await owner.tab.get_by_role("main").inner_text()
        await owner.button("sign_out").click()
        assert await owner.heading() == owner.text("signed_out_title")
        await owner.arrive(request)  # the provider knows owner-8 still, and asks all the same
        await owner.button("approve").click()
        assert "code" in await owner.back_at(request)
    assert await status(bank, consent) == "ConsentValid"


async def test_a_switched_language_stays_until_the_decision(world: World, bank: Bank, shared_chromium: Browser) -> None:
    _, request = await asked(world, bank)
    async with person(world, shared_chromium, Language.EN) as owner:
        await owner.arrive(request)
        await owner.tab.get_by_role("link", name="繁體中文").click()
        owner.language = Language.ZH_HANT
        assert await owner.heading() == owner.text("ask_title", consumer="Bank A (sandbox)")
        assert await owner.tab.get_attribute("html", "lang") == "zh-Hant-HK"
        await owner.visit("/consents")
        assert await owner.heading() == owner.text("consents_title")
        await owner.arrive(request)
        await owner.button("approve").click()
        assert "code" in await owner.back_at(request)


# --- an owner's own pages ------------------------------------------------------------------------------------------


@LANGUAGES
async def test_an_owner_looks_at_a_consent_keeps_its_receipt_and_revokes_it(
    language: Language, world: World, bank: Bank, shared_chromium: Browser, tmp_path: Path
) -> None:
    consent = await submitted(world, bank)
    assert (await bank.approve(consent)).status == 201
    async with person(world, shared_chromium, language) as owner:
        await owner.begin()
        assert await owner.heading() == owner.text("consents_title")
        await owner.tab.locator(f'a[href="/consents/{consent["consentId"]}"]').click()
        assert consent["consentId"] in await owner.tab.get_by_role("main").inner_text()

        async with owner.tab.expect_download() as downloading:
            await owner.link("receipt_link").click()
        download = await downloading.value
        assert download.suggested_filename == f"consent-receipt-{consent['consentId']}.jws"
        await download.save_as(tmp_path / "receipt.jws")
        claims = receipt_claims(world, (tmp_path / "receipt.jws").read_bytes())
        assert (claims["consentId"], claims["status"]) == (consent["consentId"], "ConsentValid")

        await owner.tab.get_by_label(owner.text("reason_RELATIONSHIP_ENDED")).check()
        await owner.button("revoke").click()
        await owner.tab.wait_for_url("**/consents/*?revoked=1")
        notice = owner.text("notice_revoked", consumer="Bank A (sandbox)")
        assert notice in await owner.tab.get_by_role("main").inner_text()
        assert await owner.button("revoke").count() == 0
    assert await status(bank, consent) == "ConsentRevoked"
    notices = await bank.notices(token=await bank.token(CONSENTS, NOTICES))
    told = [one for one in notices.json["notices"] if one.get("consentId") == consent["consentId"]]
    assert told[-1]["type"] == "CONSENT_REVOKED"


@LANGUAGES
async def test_an_owner_obtains_an_auth_code_and_the_bank_uses_it(
    language: Language, world: World, bank: Bank, shared_chromium: Browser
) -> None:
    async with person(world, shared_chromium, language) as owner:
        await owner.begin("owner-9", "/auth-code")
        await owner.button("obtain").click()
        error = owner.text("error_choose")
        if await owner.tab.get_by_text(error).count() == 0:  # the browser itself asked for a choice
            assert await owner.tab.evaluate("document.querySelector('select').validity.valueMissing")
        await owner.tab.get_by_label(owner.text("choice_label")).select_option(f"{OTHER_SOURCE}/{OTHER_DOCUMENT_TYPE}")
        await owner.button("obtain").click()
        assert await owner.heading() == owner.text("auth_code_title")
        code = re.sub(r"\s", "", await owner.tab.locator("#auth-code").inner_text())
    private = {"dataOwnerId": "owner-9", "dataOwnerName": "Data Owner 9", "purposePrivate": code}
    changes: dict[str, Any] = {"provider_id": OTHER_SOURCE, "document_type": OTHER_DOCUMENT_TYPE, "private": private}
    assert (await submitted(world, bank, **changes))["status"] == "ConsentValid"
    again = await bank.submit_consent(
        token=await bank.token(CONSENTS), expire_time=int(world.clock.now()) + 600, **changes
    )
    assert again.json.get("status") != "ConsentValid"


async def test_an_owner_signs_out(world: World, bank: Bank, shared_chromium: Browser) -> None:
    async with person(world, shared_chromium) as owner:
        await owner.begin()
        await owner.button("sign_out").click()
        assert await owner.heading() == owner.text("signed_out_title")
        await owner.tab.go_back()
        assert await owner.heading() == owner.text("sign_in_title")  # nothing of theirs is kept by the browser
        await owner.link("sign_in").click()
        await owner.sign_in()  # whoever sits there now is asked
        assert await owner.heading() == owner.text("consents_title")


async def test_two_owners_see_each_their_own(world: World, bank: Bank, shared_chromium: Browser) -> None:
    private = {"dataOwnerId": "owner-8", "dataOwnerName": "Data Owner 8"}
    theirs = await submitted(world, bank, private=private)
    for owner_id, sees in (("owner-8", True), ("owner-7", False)):
        async with person(world, shared_chromium) as owner:
            await owner.begin(owner_id)
            assert (theirs["consentId"] in await owner.tab.content()) is sees
            assert await owner.visit(f"/consents/{theirs['consentId']}") == (200 if sees else 404)


# --- every real page, by the rules for people who see, hear or move otherwise -----------------------------------------


Look = Callable[[str, Person], Awaitable[None]]


async def every_page(world: World, bank: Bank, owner: Person, look: Look) -> None:
    """Show each page that there is to `look`."""
    await owner.visit("/consents")
    await look("sign-in", owner)
    await owner.link("sign_in").click()
    await look("login", owner)
    await owner.sign_in("owner-9")
    await look("consents", owner)
    private = {"dataOwnerId": "owner-9", "dataOwnerName": "Data Owner 9"}
    consent, request = await asked(world, bank, private=private)
    await owner.arrive(request)
    await look("ask", owner)
    await owner.button("approve").click()
    await owner.back_at(request)
    await owner.arrive(await pushed(bank, consent))
    await look("already", owner)
    await owner.tab.goto(request.url)
    await look("problem-gone", owner)
    await owner.visit(f"/consents/{consent['consentId']}")
    await look("consent", owner)
    await owner.button("revoke").click()
    await owner.tab.wait_for_url("**/consents/*?revoked=1")
    await look("consent-revoked", owner)
    await owner.visit("/auth-code")
    await look("auth-code-form", owner)
    await owner.tab.get_by_label(owner.text("choice_label")).select_option(f"{SOURCE}/{DOCUMENT_TYPE}")
    await owner.button("obtain").click()
    await look("auth-code", owner)
    other, theirs = await asked(world, bank)
    await owner.arrive(theirs)
    await look("problem-not-yours", owner)
    await owner.visit(f"/consents/{other['consentId']}")
    await look("problem-not-found", owner)
    await owner.visit("/login?to=/elsewhere")
    await look("problem-bad-request", owner)
    await owner.visit("/login/callback?error=access_denied")
    await look("problem-login-failed", owner)
    await owner.visit("/consents")
    await owner.tab.evaluate("document.querySelector('input[name=csrf]').value = 'x'")
    await owner.button("sign_out").click()
    await look("problem-form-stale", owner)
    await owner.visit("/consents")
    await owner.button("sign_out").click()
    await look("signed-out", owner)


# The other combinations, light and dark, are in test_pages: what is new here is what the real flows put on the pages.
@pytest.mark.parametrize(("language", "width"), [(Language.EN, 1280), (Language.ZH_HANT, 360)])
async def test_every_real_page_is_for_everybody(  # noqa: PLR0917
    language: Language, width: int, world: World, bank: Bank, shared_chromium: Browser, axe: str
) -> None:
    found: list[str] = []

    async def look(name: str, owner: Person) -> None:
        await owner.tab.evaluate(axe)
        found.extend(f"{name}: {rule}" for rule in await owner.tab.evaluate(AXE_RUN))
        await owner.tab.set_viewport_size(PHONE)
        if await owner.tab.evaluate("document.documentElement.scrollWidth") > PHONE["width"]:
            found.append(f"{name}: wider than a phone")
        await owner.tab.set_viewport_size(screen)

    # The policy forbids every script, axe too: it is let in here, and here only.
    screen: ViewportSize = {"width": width, "height": 800}
    async with person(world, shared_chromium, language, viewport=screen, bypass_csp=True) as owner:
        await every_page(world, bank, owner, look)
    assert found == []


@LANGUAGES
async def test_every_real_page_keeps_to_its_policy(
    language: Language, world: World, bank: Bank, shared_chromium: Browser
) -> None:
    seen: list[str] = []

    async def look(name: str, owner: Person) -> None:
        seen.append(name)
        await owner.tab.wait_for_load_state()
        assert await owner.tab.evaluate("document.styleSheets.length") == 1, name
        assert owner.broken == [], name

    async with person(world, shared_chromium, language) as owner:
        await every_page(world, bank, owner, look)
    assert len(seen) == len(set(seen)) >= 16


def receipt_claims(world: World, receipt: bytes) -> dict[str, Any]:
    """Checked as its owner can check it: by the published keys alone."""
    jwks = world.folder / world.description["reports"]["jwks"]
    found: dict[str, Any] = orjson.loads(
        signature.verify(receipt, signature.key_set(jwks.read_bytes()), "cdi-consent-receipt+jwt")
    )
    return found


async def tab_to(owner: Person, what: str) -> None:
    for _ in range(30):
        if await owner.tab.evaluate(FOCUSED) == what:
            return
        await owner.tab.keyboard.press("Tab")
    pytest.fail(f"the keyboard does not reach {what}")
