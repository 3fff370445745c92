from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.authorization.owners import PAGE_ITEMS
from gateway.core.model import Consent, ConsentStatus
from gateway.oauth.jws import parse_jws
from gateway.pages.views import RevocationChoice
from tests.authorization_parts import OTHER_OWNER
from tests.consent_site import Guest, Seen, Site, consent_site, filled
from tests.fakes_authorization import OWNER_LIVES
from tests.samples import NOW

CANARY = "canary-HKG12345678"
CHOICE = "SZCREDIT01DP/CORPORATE_CREDIT_REPORT"
NOBODYS = "5d7e6a1c-9f0a-4f3e-8a43-0a3a4d1e9b11"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with consent_site(tmp_path) as site:
        yield site


@pytest.fixture
async def owner(site: Site) -> AsyncIterator[Guest]:
    """Signed in."""
    async with Guest(site) as guest:
        await guest.sign_in()
        yield guest


@pytest.fixture
async def other(site: Site) -> AsyncIterator[Guest]:
    """Somebody else, signed in."""
    async with Guest(site) as guest:
        await guest.sign_in(OTHER_OWNER)
        yield guest


async def consent(site: Site, **changes: Any) -> Consent:
    return await site.server.consent(**({"status": ConsentStatus.VALID} | changes))


def place(of: Consent) -> str:
    return f"/consents/{of.consent_id}"


def check_not_there(seen: Seen) -> None:
    assert (seen.status, seen.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "This page does not exist" in seen.page.text
    assert CANARY.encode() not in seen.body


def listed(seen: Seen) -> list[str]:
    """Paths of the consents on the page, in its order."""
    paths = [urlsplit(address).path for _, address in seen.page.links]
    return [path for path in paths if path.startswith("/consents/")]


async def test_the_front_door_leads_to_the_consents(owner: Guest) -> None:
    seen = await owner.get("/")
    assert (seen.status, seen.location) == (303, "/consents")


# --- consents ------------------------------------------------------------------------------------------------------


async def test_an_owner_sees_their_own_consents_alone(site: Site, owner: Guest, other: Guest) -> None:
    mine, _ = await consent(site), await consent(site, subject="f" * 64)
    assert listed(await owner.get("/consents")) == [place(mine)]
    seen = await other.get("/consents")
    assert listed(seen) == []
    assert "Nobody has asked for your consent yet" in seen.page.text


async def test_a_long_list_comes_in_pages_newest_first(site: Site, owner: Guest) -> None:
    made = [place(await consent(site, created_at=NOW + number)) for number in range(PAGE_ITEMS + 3)]
    first = await owner.get("/consents")
    (older,) = [address for text, address in first.page.links if text == "Older consents"]
    second = await owner.get(older)
    shown = [*listed(first), *listed(second)]
    assert (len(listed(first)), sorted(shown)) == (PAGE_ITEMS, sorted(made))
    assert "Older consents" not in second.page.text
    (newest,) = [address for text, address in second.page.links if text == "Newest consents"]
    assert listed(await owner.get(newest)) == listed(first)
    assert "Newest consents" not in first.page.text


async def test_a_place_in_the_list_that_is_none_is_its_beginning(site: Site, owner: Guest) -> None:
    mine = await consent(site)
    for after in ("", CANARY, "0", NOBODYS.upper()[:-1]):
        seen = await owner.get(f"/consents?after={after}")
        assert (seen.status, listed(seen)) == (200, [place(mine)])
        assert seen.page.language == "en"


async def test_another_owners_consent_does_not_exist(site: Site, owner: Guest, other: Guest) -> None:
    theirs = await consent(site)
    csrf = (await other.form("/consents", "/logout")).fields[0].value
    for path in (place(theirs), f"/consents/{NOBODYS}", f"/consents/{CANARY}", f"/consents/{'a' * 300}"):
        for suffix in ("", "/receipt"):
            check_not_there(await other.get(path + suffix))
        check_not_there(await other.post(f"{path}/revocation", {"csrf": csrf, "reason": "OTHER"}))
    assert await site.server.status(theirs) is ConsentStatus.VALID


async def test_a_consent_is_revoked_by_its_form(site: Site, owner: Guest) -> None:
    mine = await consent(site)
    form = await owner.form(place(mine), "/revocation")
    seen = await owner.post(form.action, filled(form, reason="PURPOSE_FULFILLED"))
    assert (seen.status, seen.location) == (303, f"{place(mine)}?revoked=1")
    assert await site.server.status(mine) is ConsentStatus.REVOKED
    (entry,) = await site.server.entries("consent.revoked")
    assert entry["reason"] == "PURPOSE_FULFILLED"
    after = (await owner.get(seen.location)).page
    assert "You have revoked this consent" in after.text
    assert after.form_to("/revocation") is None
    assert "You have revoked this consent" not in (await owner.get(place(mine))).page.text


async def test_a_revocation_that_is_sent_twice_counts_once(site: Site, owner: Guest) -> None:
    mine = await consent(site)
    form = await owner.form(place(mine), "/revocation")
    seen = await asyncio.gather(*(owner.post(form.action, filled(form)) for _ in range(5)))
    assert [one.status for one in seen] == [303] * 5
    assert sorted(one.location for one in seen) == [place(mine)] * 4 + [f"{place(mine)}?revoked=1"]
    assert len(await site.server.entries("consent.revoked")) == 1


async def test_a_reason_is_one_of_those_on_the_page(site: Site, owner: Guest) -> None:
    mine = await consent(site)
    form = await owner.form(place(mine), "/revocation")
    offered = [one.value for one in form.fields if one.type == "radio"]
    assert offered == [one.value for one in RevocationChoice]
    for reason in (CANARY, "other", "OTHER "):
        seen = await owner.post(form.action, filled(form, reason=reason))
        assert (seen.status, CANARY.encode() in seen.body) == (400, False)
    assert await site.server.status(mine) is ConsentStatus.VALID
    await owner.post(form.action, {"csrf": filled(form)["csrf"]})
    (entry,) = await site.server.entries("consent.revoked")
    assert entry["reason"] == "OTHER"  # whoever says nothing is not kept from revoking


async def test_without_a_record_nothing_is_revoked(site: Site, owner: Guest) -> None:
    mine = await consent(site)
    form = await owner.form(place(mine), "/revocation")
    site.server.audit.dead = True
    seen = await owner.post(form.action, filled(form))
    assert (seen.status, "Retry-After" in seen.headers) == (503, True)
    site.server.audit.dead = False
    assert await site.server.status(mine) is ConsentStatus.VALID


async def test_a_receipt_is_a_signed_file(site: Site, owner: Guest) -> None:
    mine = await consent(site)
    (link,) = [address for _, address in (await owner.get(place(mine))).page.links if address.endswith("/receipt")]
    seen = await owner.get(link)
    assert (seen.status, seen.headers["Content-Type"]) == (200, "application/jose")
    name = f"consent-receipt-{mine.consent_id}.jws"
    assert seen.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert seen.headers["Cache-Control"] == "no-store"
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in seen.headers["Content-Security-Policy"]
    signed = parse_jws(seen.body.decode(), characters_max=8_192)
    assert (signed.header["typ"], signed.claims["consentId"]) == ("cdi-consent-receipt+jwt", mine.consent_id)


# --- Auth Codes ----------------------------------------------------------------------------------------------------


async def test_a_code_is_shown_once_to_who_asked_for_it(site: Site, owner: Guest) -> None:
    form = await owner.form("/auth-code", "/auth-code")
    seen = await owner.post(form.action, filled(form, choice=CHOICE))
    assert (seen.status, seen.headers["Cache-Control"]) == (200, "no-store")
    assert 'id="auth-code"' in seen.page.html
    assert "Name of SZCREDIT01DP" in seen.page.text
    # It is the answer to a form: there is no address at which it could be asked for again, in another language either.
    assert not [address for text, address in seen.page.links if text == "繁體中文"]
    assert len(await site.server.entries("consent.code_issued")) == 1


@pytest.mark.parametrize(("language", "said"), [("en", "Choose a source and a document"), ("zh-HK", "請選擇")])
async def test_a_choice_that_is_none_is_said_at_the_form(language: str, said: str, site: Site, owner: Guest) -> None:
    form = await owner.form("/auth-code", "/auth-code")
    for choice in (
        "",
        "/",
        "SZCREDIT01DP",
        "SZCREDIT01DP/",
        f"{CHOICE}/x",
        "BANKA01DC/CORPORATE_CREDIT_REPORT",
        CANARY,
    ):
        seen = await owner.post(form.action, filled(form, choice=choice), Accept_Language=language)
        assert (seen.status, CANARY.encode() in seen.body) == (400, False), choice
        assert said in seen.page.text
        assert seen.page.form_to("/auth-code") is not None
    assert await site.server.entries() == []


async def test_so_many_codes_in_an_hour_and_no_more(site: Site, owner: Guest) -> None:
    form = await owner.form("/auth-code", "/auth-code")
    for _ in range(OWNER_LIVES.auth_codes_per_hour):
        assert (await owner.post(form.action, filled(form, choice=CHOICE))).status == 200
    seen = await owner.post(form.action, filled(form, choice=CHOICE))
    assert (seen.status, "Too many attempts" in seen.page.text) == (429, True)
    assert int(seen.headers["Retry-After"]) > 60


async def test_a_sign_in_that_is_old_is_asked_for_anew_before_a_code(site: Site, owner: Guest) -> None:
    """A code is an approval in advance."""
    form = await owner.form("/auth-code", "/auth-code")
    await owner.sign_in(auth_time=NOW - 3_600)
    assert (await owner.get("/auth-code")).location == "https://login.example/authorize"
    assert site.server.login.asked[-1][0] is True
    csrf = (await owner.form("/consents", "/logout")).fields[0].value
    seen = await owner.post(form.action, {"csrf": csrf, "choice": CHOICE})
    assert "Please sign in" in seen.page.text
    assert any(urlsplit(address).path == "/auth-code" for _, address in seen.page.links)
    assert await site.server.entries() == []


async def test_without_a_record_there_is_no_code(site: Site, owner: Guest) -> None:
    form = await owner.form("/auth-code", "/auth-code")
    site.server.audit.dead = True
    seen = await owner.post(form.action, filled(form, choice=CHOICE))
    assert (seen.status, 'id="auth-code"' in seen.page.html) == (503, False)


async def test_the_stylesheet_is_kept_for_good_under_the_name_of_its_content(owner: Guest) -> None:
    page = (await owner.get("/consents")).body.decode()
    path = page.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    seen = await owner.get(path)
    assert (seen.status, seen.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert seen.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
