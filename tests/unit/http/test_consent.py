from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from gateway.authorization.handles import REQUEST_URI
from gateway.core.model import Consent, ConsentStatus
from gateway.http.cookies import LOGIN, SESSION, SIGNED_OUT
from tests.authorization_parts import OTHER_OWNER
from tests.consent_site import Guest, Seen, Site, consent_site, filled
from tests.fakes_authorization import LIVES
from tests.oauth_clients import CLIENT, ISSUER, REDIRECT_URI
from tests.samples import NOW

CANARY = "canary-HKG12345678"
LOGIN_URL = "https://login.example/authorize"
GONE = {"en": "This request is over", "zh-HK": "此請求已結束"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with consent_site(tmp_path) as site:
        yield site


@pytest.fixture
async def owner(site: Site) -> AsyncIterator[Guest]:
    """A browser, not signed in yet."""
    async with Guest(site) as guest:
        yield guest


class Asked:
    """A consent, the request for it, and its pages."""

    def __init__(self, consent: Consent, handle: str, client_id: str) -> None:
        self.consent, self.handle = consent, handle
        self.place = f"/interactions/{handle}"
        self.way = f"/oauth/authorize?client_id={client_id}&request_uri={quote(REQUEST_URI + handle)}"


async def asked(site: Site, client_id: str = CLIENT, *, consent: Consent | None = None, **pushed: str) -> Asked:
    consent = consent or await site.server.consent()
    return Asked(consent, await site.server.pushed(consent, client_id, **pushed), client_id)


async def decided(guest: Guest, one: Asked, decision: str, **fields: str) -> Seen:
    form = await guest.form(one.place, one.place)
    return await guest.post(one.place, filled(form, decision=decision), **fields)


def answer(seen: Seen) -> dict[str, str]:
    """What the browser takes to the client."""
    assert seen.status == 303
    assert seen.location.startswith(f"{REDIRECT_URI}?")
    return dict(parse_qsl(urlsplit(seen.location).query))


def check_gone(seen: Seen, language: str = "en") -> None:
    assert (seen.status, seen.headers["Content-Type"]) == (410, "text/html; charset=utf-8")
    assert GONE[language] in seen.page.text
    assert CANARY.encode() not in seen.body


# --- the way of an authorization -----------------------------------------------------------------------------------


async def test_the_whole_way_from_the_bank_and_back(site: Site, owner: Guest) -> None:
    one = await asked(site)
    arrived = await owner.get(one.way)
    assert (arrived.status, arrived.location) == (303, one.place)
    sent = await owner.get(one.place)
    assert (sent.status, sent.location) == (303, LOGIN_URL)
    assert owner.cookies.keys() == {LOGIN}
    back = await owner.get("/login/callback?state=s&code=c")
    assert (back.status, back.location) == (303, one.place)
    assert owner.cookies.keys() == {SESSION}  # the sign-in under way is over, and its cookie with it
    page = await owner.get(one.place)
    assert page.status == 200
    assert "Bank A" in page.page.text
    left = await decided(owner, one, "approve")
    assert answer(left).keys() == {"code", "state", "iss"}
    assert answer(left)["iss"] == ISSUER
    assert await site.server.status(one.consent) is ConsentStatus.VALID
    token = await site.server.redeem(answer(left)["code"])
    assert token["scope"] == "cdi:data-requests"


async def test_a_refusal_is_told_to_the_bank(site: Site, owner: Guest) -> None:
    one = await asked(site)
    await owner.sign_in()
    left = answer(await decided(owner, one, "refuse"))
    assert (left["error"], left["state"], left["iss"]) == ("access_denied", "af0ifjsldkj", ISSUER)
    assert await site.server.status(one.consent) is ConsentStatus.REJECTED


async def test_a_valid_consent_is_gone_on_with(site: Site, owner: Guest) -> None:
    one = await asked(site)
    await owner.sign_in()
    await decided(owner, one, "approve")
    again = await asked(site, consent=one.consent)
    page = await owner.get(again.place)
    assert "You have already approved this" in page.page.text
    assert "code" in answer(await decided(owner, again, "approve"))


async def test_the_policy_lets_the_form_lead_to_the_bank_and_nowhere_else(site: Site, owner: Guest) -> None:
    await owner.sign_in()
    for number, (uri, origin) in enumerate(
        [
            ("https://bank-a.example/callback", "https://bank-a.example"),
            ("https://bank-a.example:8443/deep/callback?kept=1", "https://bank-a.example:8443"),
            ("http://127.0.0.1/callback", "http://127.0.0.1"),
        ]
    ):
        client = replace(site.server.world.roster.view.clients.by_id(CLIENT), redirect_uris=(uri,))
        site.server.use([client])
        one = await asked(site, redirect_uri=uri)
        policy = (await owner.get(one.place)).headers["Content-Security-Policy"]
        assert policy.endswith(f"; form-action 'self' {origin}"), number
        assert policy.count(origin) == 1
        left = await decided(owner, one, "refuse")
        assert left.location.startswith(uri)
        # What a browser checks behind the form's answer is the answer's own address, not this policy.
        assert left.headers["Content-Security-Policy"].endswith("; form-action 'self'")


async def test_only_the_page_that_asks_may_lead_away(site: Site, owner: Guest) -> None:
    one = await asked(site)
    await owner.sign_in()
    for path in ("/consents", "/auth-code", "/signed-out", f"/consents/{one.consent.consent_id}"):
        assert (await owner.get(path)).headers["Content-Security-Policy"].endswith("form-action 'self'")


@pytest.mark.parametrize("language", ["en", "zh-HK"])
async def test_a_request_that_is_none_is_gone_and_nobody_is_sent_anywhere(
    language: str, site: Site, owner: Guest
) -> None:
    one = await asked(site)
    owner.fields["Accept-Language"] = language
    await owner.sign_in()
    for path in (
        "/oauth/authorize",
        f"/oauth/authorize?client_id={CLIENT}",
        f"/oauth/authorize?request_uri={quote(REQUEST_URI + one.handle)}",
        one.way.replace(CLIENT, "bank-b"),
        one.way.replace(CLIENT, CANARY),
        f"/oauth/authorize?client_id={CLIENT}&request_uri={CANARY}",
        f"/oauth/authorize?client_id={CLIENT}&response_type=code&redirect_uri=https://evil.example",
        f"/interactions/{'a' * 43}",
    ):
        check_gone(await owner.get(path), language)


async def test_a_handle_that_cannot_be_one_is_no_page(owner: Guest) -> None:
    for handle in ("a" * 19, "a" * 129, "x", CANARY, "a" * 42 + "%00"):
        seen = await owner.get(f"/interactions/{handle}")
        assert seen.status == 404
        assert CANARY.encode() not in seen.body


async def test_a_request_is_over_once_it_is_decided_or_too_late(site: Site, owner: Guest) -> None:
    await owner.sign_in()
    one, late = await asked(site), await asked(site)
    form = await owner.form(one.place, one.place)
    late_form = await owner.form(late.place, late.place)
    await decided(owner, one, "approve")
    for path in (one.place, one.way):
        check_gone(await owner.get(path))
    check_gone(await owner.post(one.place, filled(form, decision="approve")))
    site.server.clock.advance(LIVES.request)
    check_gone(await owner.get(late.place))
    check_gone(await owner.post(late.place, filled(late_form, decision="approve")))
    assert await site.server.status(late.consent) is ConsentStatus.SUBMITTED


async def test_one_of_many_forms_sent_at_once_gives_a_code(site: Site, owner: Guest) -> None:
    one = await asked(site)
    await owner.sign_in()
    form = await owner.form(one.place, one.place)
    seen = await asyncio.gather(*(owner.post(one.place, filled(form, decision="approve")) for _ in range(10)))
    statuses = [one.status for one in seen]
    assert statuses.count(303) == 1
    assert set(statuses) <= {303, 410, 200}  # gone by now, or asked whether to go on with what was just approved


@pytest.mark.parametrize("language", ["en", "zh-HK"])
async def test_somebody_else_is_told_so_and_can_sign_out(language: str, site: Site, owner: Guest) -> None:
    one = await asked(site)
    await owner.sign_in(OTHER_OWNER)
    seen = await owner.get(one.place, Accept_Language=language)
    assert seen.status == 403
    assert {"en": "not for you", "zh-HK": "此請求並非向閣下提出"}[language] in seen.page.text
    assert seen.page.form_to("/logout") is not None
    assert "Bank A" not in seen.page.text
    # Nor by sending what the page would have sent.
    csrf = (await owner.form("/consents", "/logout")).fields[0].value
    assert (await owner.post(one.place, {"csrf": csrf, "decision": "approve"})).status == 403
    assert await site.server.status(one.consent) is ConsentStatus.SUBMITTED


async def test_a_decision_is_yes_or_no(site: Site, owner: Guest) -> None:
    one = await asked(site)
    await owner.sign_in()
    form = await owner.form(one.place, one.place)
    for decision in ("", "yes", "APPROVE", "approve ", CANARY):
        seen = await owner.post(one.place, filled(form, decision=decision))
        assert (seen.status, CANARY.encode() in seen.body) == (400, False)
    assert await site.server.status(one.consent) is ConsentStatus.SUBMITTED


async def test_a_sign_in_that_ran_out_while_its_owner_read_is_asked_for_again(site: Site, owner: Guest) -> None:
    """The policy of the form forbids to send it on to the provider, so a page with a link comes in between."""
    one = await asked(site)
    await owner.sign_in(expires_at=NOW + 60)
    form = await owner.form(one.place, one.place)
    site.server.clock.advance(61)
    seen = await owner.post(one.place, filled(form, decision="approve"))
    assert seen.status == 200
    link = seen.page.link_to("/login")
    assert link is not None
    assert await site.server.status(one.consent) is ConsentStatus.SUBMITTED
    await owner.get(link)
    assert (await owner.get("/login/callback?state=s&code=c")).location == one.place
    assert "code" in answer(await decided(owner, one, "approve"))


async def test_a_sign_in_that_is_too_old_for_the_request_is_asked_for_anew(site: Site, owner: Guest) -> None:
    one = await asked(site, prompt="login")
    await owner.sign_in(auth_time=NOW - 60)
    assert (await owner.get(one.place)).location == LOGIN_URL
    assert site.server.login.asked[-1][0] is True
    csrf = (await owner.form("/consents", "/logout")).fields[0].value
    seen = await owner.post(one.place, {"csrf": csrf, "decision": "approve"})
    assert seen.status == 200
    assert any(urlsplit(address).path == one.place for _, address in seen.page.links)
    assert await site.server.status(one.consent) is ConsentStatus.SUBMITTED


async def test_the_provider_is_asked_in_the_owners_language(site: Site, owner: Guest) -> None:
    one = await asked(site, acr_values="loa2")
    await owner.get(one.place, Accept_Language="zh-HK")
    assert site.server.login.asked[-1][2] == "zh-Hant"


async def test_a_page_speaks_as_the_bank_wishes_unless_its_owner_chose(site: Site, owner: Guest) -> None:
    one = await asked(site, ui_locales="zh-Hant")
    await owner.sign_in()
    assert (await owner.get(one.place, Accept_Language="en")).page.language == "zh-Hant-HK"
    assert (await owner.get(f"{one.place}?lang=en")).page.language == "en"
    assert (await owner.get(one.place)).page.language == "en"


async def test_a_consent_that_ended_leads_back_without_a_code(site: Site, owner: Guest) -> None:
    one = await asked(site)
    await owner.sign_in()
    await site.server.changed(one.consent, ConsentStatus.REVOKED)
    assert answer(await owner.get(one.place))["error"] == "access_denied"
    check_gone(await owner.get(one.place))


async def test_without_a_record_nothing_is_decided(site: Site, owner: Guest) -> None:
    one = await asked(site)
    await owner.sign_in()
    form = await owner.form(one.place, one.place)
    site.server.audit.dead = True
    for decision in ("approve", "refuse"):
        seen = await owner.post(one.place, filled(form, decision=decision))
        assert (seen.status, "Retry-After" in seen.headers) == (503, True)
        assert "This does not work at the moment" in seen.page.text
    site.server.audit.dead = False
    assert await site.server.status(one.consent) is ConsentStatus.SUBMITTED
    assert "code" in answer(await decided(owner, one, "approve"))


# --- signing in and out --------------------------------------------------------------------------------------------


async def test_a_sign_in_leads_back_to_the_page_that_wanted_it(site: Site, owner: Guest) -> None:
    for to in ("/consents", "/auth-code", f"/interactions/{'a' * 43}"):
        seen = await owner.get(f"/login?to={to}")
        assert (seen.status, seen.location) == (303, LOGIN_URL)
        assert "Max-Age=600" in seen.cookies[LOGIN]
        assert (await owner.get("/login/callback?code=c")).location == to
    await owner.get("/login")
    assert (await owner.get("/login/callback?code=c")).location == "/consents"


async def test_a_sign_in_leads_to_no_other_place(site: Site, owner: Guest) -> None:
    for to in ("https://evil.example", "//evil.example", "/login", "/interactions/x", CANARY):
        seen = await owner.get(f"/login?to={quote(to)}")
        assert (seen.status, CANARY.encode() in seen.body) == (400, False), to
        assert not seen.cookies
    assert site.server.login.asked == []


@pytest.mark.parametrize("language", ["en", "zh-HK"])
async def test_a_callback_without_a_sign_in_under_way_is_none(language: str, site: Site, owner: Guest) -> None:
    owner.fields["Accept-Language"] = language
    for cookies in ({}, {LOGIN: "x"}, {SESSION: "x"}):
        owner.cookies = dict(cookies)
        seen = await owner.get(f"/login/callback?state=s&code={CANARY}")
        assert (seen.status, CANARY.encode() in seen.body) == (403, False)
        assert {"en": "The sign-in did not succeed", "zh-HK": "未能登入"}[language] in seen.page.text
        assert seen.page.link_to("/login") is not None
        assert SESSION not in seen.cookies


async def test_a_refused_sign_in_says_so_and_can_be_tried_again(site: Site, owner: Guest) -> None:
    one = await asked(site)
    await owner.get(one.place)
    site.server.login.refused = "denied"
    seen = await owner.get("/login/callback?error=access_denied&error_description=" + CANARY)
    assert (seen.status, CANARY.encode() in seen.body) == (403, False)
    assert (seen.page.link_to("/login") or "").endswith(f"/login?to={one.place}")
    assert owner.cookies == {}
    assert site.outcomes()[-1] == "LOGIN_FAILED"
    site.server.login.refused = None
    await owner.get(f"/login?to={one.place}")
    assert (await owner.get("/login/callback?code=c")).location == one.place


async def test_a_provider_that_cannot_sign_in_as_demanded_is_told_to_the_bank(site: Site, owner: Guest) -> None:
    one = await asked(site, acr_values="loa2")
    await owner.get(one.place)
    site.server.login.refused = "id_token_acr"
    left = answer(await owner.get("/login/callback?code=c"))
    assert left["error"] == "unmet_authentication_requirements"
    await owner.get("/login")
    assert (await owner.get("/login/callback?code=c")).status == 403  # nobody to tell: a page


@pytest.mark.parametrize("language", ["en", "zh-HK"])
async def test_a_provider_that_is_down_decides_nothing(language: str, site: Site, owner: Guest) -> None:
    owner.fields["Accept-Language"] = language
    one = await asked(site)
    site.server.login.down = True
    for path in (one.place, "/login"):
        seen = await owner.get(path)
        assert (seen.status, "Retry-After" in seen.headers) == (503, True)
        assert {"en": "This does not work at the moment", "zh-HK": "服務暫時未能使用"}[language] in seen.page.text
    site.server.login.down = False
    await owner.get(one.place)
    site.server.login.down = True
    assert (await owner.get("/login/callback?code=c")).status == 503
    site.server.login.down = False
    assert owner.cookies.keys() == {LOGIN}  # the way back is still known
    assert (await owner.get("/login/callback?code=c")).location == one.place
    assert await site.server.status(one.consent) is ConsentStatus.SUBMITTED


async def test_a_session_that_was_there_before_ends_with_the_sign_in(site: Site, owner: Guest) -> None:
    await owner.sign_in(OTHER_OWNER)
    before = dict(owner.cookies)
    await owner.get("/login")
    await owner.get("/login/callback?code=c")
    assert owner.cookies[SESSION] != before[SESSION]
    owner.cookies = before
    assert (await owner.get("/consents")).page.link_to("/login") is not None


async def test_signing_out_ends_the_session_everywhere(site: Site, owner: Guest) -> None:
    await owner.sign_in()
    before = dict(owner.cookies)
    seen = await owner.post("/logout", filled(await owner.form("/consents", "/logout")))
    assert (seen.status, seen.location, owner.cookies) == (303, "/signed-out", {SIGNED_OUT: "1"})
    page = await owner.get("/signed-out")
    assert "You are signed out" in page.page.text
    assert page.page.link_to("/login") is not None
    owner.cookies = before
    assert (await owner.get("/consents")).page.link_to("/login") is not None


async def test_who_comes_after_a_sign_out_is_asked_who_they_are(site: Site, owner: Guest) -> None:
    """The provider's own session would bring the same person back, whoever sits there now."""
    one = await asked(site)
    await owner.sign_in(OTHER_OWNER)
    await owner.post("/logout", filled(await owner.form(one.place, "/logout")))
    for path in (one.place, "/login"):
        await owner.get(path)
        assert site.server.login.asked[-1][0] is True
    await owner.get(one.place)
    await owner.get("/login/callback?code=c")
    assert owner.cookies.keys() == {SESSION}
    await owner.get("/login")
    assert site.server.login.asked[-1][0] is False
    assert "code" in answer(await decided(owner, one, "approve"))


async def test_pages_are_read_and_forms_are_sent(owner: Guest) -> None:
    for method, path, allowed in (
        ("POST", "/oauth/authorize", "GET,HEAD"),
        ("POST", "/login", "GET,HEAD"),
        ("POST", "/login/callback", "GET,HEAD"),
        ("GET", "/logout", "POST"),
        ("DELETE", "/consents", "GET,HEAD"),
        ("PUT", f"/interactions/{'a' * 43}", "GET,HEAD,POST"),
    ):
        seen = await owner.get(path, method=method)
        assert (seen.status, seen.headers["Allow"]) == (405, allowed)
    for path in ("/interactions", "/interactions/", "/login/", "/x", "/oauth", "/static/pages.css"):
        assert (await owner.get(path)).status == 404
