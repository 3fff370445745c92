from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.model import Rate
from gateway.errors import UpstreamUnavailable
from gateway.http.cookies import LANGUAGE, LOGIN, SESSION
from gateway.http.visits import returns_to
from gateway.pages.languages import Language
from tests.consent_site import BODY_BYTES_MAX, Guest, Seen, Site, consent_site, filled
from tests.fakes_edge import get

CANARY = "canary-HKG12345678"
FORM = "Content-Type: application/x-www-form-urlencoded"


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


def check_page(seen: Seen, status: int, problem: str | None = None) -> None:
    """A page for people, dressed as every page is."""
    assert (seen.status, seen.headers["Content-Type"]) == (status, "text/html; charset=utf-8"), seen.body
    assert seen.headers["Cache-Control"] == "no-store"
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in seen.headers["Content-Security-Policy"]
    assert CANARY.encode() not in seen.body
    if problem is not None:
        assert problem in seen.page.text
        assert seen.headers["x-fapi-interaction-id"] in seen.page.text  # for people to quote


# --- languages -----------------------------------------------------------------------------------------------------


WISHES: tuple[tuple[str, str | None, str | None, str], ...] = (
    ("", None, None, "en"),
    ("", None, "zh-HK,zh;q=0.9,en;q=0.8", "zh-Hant-HK"),
    ("", "en", "zh-HK", "en"),
    ("", "zh-Hant", "en-GB", "zh-Hant-HK"),
    ("?lang=en", "zh-Hant", "zh-HK", "en"),
    ("?lang=zh-Hant", "en", "en", "zh-Hant-HK"),
    ("?lang=", "zh-Hant", None, "zh-Hant-HK"),
    ("?lang=fr", None, "zh-HK", "zh-Hant-HK"),
    ("", "garbage" * 900, "zh-HK", "zh-Hant-HK"),
    ("", None, "fr,de;q=0.5", "en"),
)
"""Query, cookie, Accept-Language; the language of the page."""


async def test_a_page_speaks_as_its_reader_wishes(owner: Guest) -> None:
    session = dict(owner.cookies)
    for query, cookie, header, language in WISHES:
        owner.cookies = session | ({LANGUAGE: cookie} if cookie is not None else {})
        fields = {"Accept_Language": header} if header is not None else {}
        assert (await owner.get(f"/consents{query}", **fields)).page.language == language, (query, cookie, header)


async def test_a_choice_is_remembered_by_the_browser(owner: Guest) -> None:
    plain = await owner.get("/consents")
    assert LANGUAGE not in plain.cookies
    switch = next(address for text, address in plain.page.links if text == Language.ZH_HANT.endonym)
    chosen = await owner.get(switch)
    assert chosen.page.language == "zh-Hant-HK"
    assert "Max-Age=31536000" in chosen.cookies[LANGUAGE]
    assert (await owner.get("/auth-code")).page.language == "zh-Hant-HK"


async def test_a_choice_that_is_none_is_remembered_as_what_was_shown(owner: Guest) -> None:
    seen = await owner.get(f"/consents?lang={CANARY}")
    assert (seen.page.language, owner.cookies[LANGUAGE]) == ("en", "en")


async def test_the_switch_stays_on_its_page_with_its_query(site: Site, owner: Guest) -> None:
    after = "5d7e6a1c-9f0a-4f3e-8a43-0a3a4d1e9b11"
    seen = await owner.get(f"/consents?after={after}&lang=en")
    (switch,) = [address for text, address in seen.page.links if text == Language.ZH_HANT.endonym]
    assert switch.removeprefix(site.address) == f"/consents?after={after}&lang=zh-Hant"


# --- who is not signed in, and forms -------------------------------------------------------------------------------


async def test_who_is_not_signed_in_is_shown_the_way(site: Site) -> None:
    one = "/consents/5d7e6a1c-9f0a-4f3e-8a43-0a3a4d1e9b11"
    async with Guest(site) as guest:
        for path in ("/consents", "/consents?after=x", one, f"{one}/receipt", "/auth-code"):
            seen = await guest.get(path)
            check_page(seen, 200)
            back = "/auth-code" if path == "/auth-code" else "/consents"
            assert (seen.page.link_to("/login") or "").endswith(f"/login?to={back}")
            assert not seen.cookies


async def test_a_session_that_nobody_opened_is_none(site: Site) -> None:
    for cookie in ("x", "x" * 5_000, "secret-of-nobody", "§"):
        async with Guest(site, cookies={SESSION: cookie}) as guest:
            assert (await guest.get("/consents")).page.link_to("/login") is not None


async def test_a_session_ends_at_its_time(site: Site, owner: Guest) -> None:
    assert (await owner.get("/consents")).page.link_to("/login") is None
    site.server.clock.advance(1_800)
    assert (await owner.get("/consents")).page.link_to("/login") is not None


async def test_a_form_sent_after_the_session_ended_changes_nothing(site: Site, owner: Guest) -> None:
    form = await owner.form("/auth-code", "/auth-code")
    site.server.clock.advance(1_800)
    seen = await owner.post(form.action, filled(form, choice="SZCREDIT01DP/CORPORATE_CREDIT_REPORT"))
    check_page(seen, 200)
    assert seen.page.link_to("/login") is not None
    assert await site.server.entries() == []


async def test_a_form_without_the_sessions_token_is_stale(owner: Guest) -> None:
    form = await owner.form("/consents", "/logout")
    for language, said in (("en", "This form is out of date"), ("zh-HK", "此表格已過時")):
        for csrf in ("", "x", "§", "0" * 64):
            seen = await owner.post("/logout", filled(form, csrf=csrf), Accept_Language=language)
            check_page(seen, 403, said)
    assert (await owner.get("/consents")).page.link_to("/login") is None


async def test_the_token_of_another_session_of_the_same_person_is_stale(site: Site, owner: Guest) -> None:
    form = await owner.form("/consents", "/logout")
    await owner.sign_in()
    check_page(await owner.post("/logout", filled(form)), 403, "This form is out of date")


async def test_a_form_that_another_site_sends_is_stale_with_a_good_token(owner: Guest) -> None:
    form = await owner.form("/consents", "/logout")
    for sender in ("cross-site", "same-site"):
        check_page(await owner.post("/logout", filled(form), Sec_Fetch_Site=sender), 403, "This form is out of date")


UNREADABLE: tuple[tuple[bytes, dict[str, str]], ...] = (
    (b"csrf=x&csrf=x", {}),
    (b"csrf=%ff", {}),
    (b"&".join(b"p%d=1" % number for number in range(65)), {}),
    (b"a=" + b"b" * BODY_BYTES_MAX, {}),
    (b"{}", {"Content_Type": "application/json"}),
    (b"csrf=x", {"Content_Encoding": "gzip"}),
)


async def test_a_form_that_cannot_be_read_is_a_page_that_says_so(owner: Guest) -> None:
    for body, fields in UNREADABLE:
        check_page(await owner.post("/logout", body, **fields), 400, "This request cannot be understood")
    assert (await owner.get("/consents")).page.link_to("/login") is None


async def test_a_form_that_does_not_come_is_waited_for_so_long(tmp_path: Path) -> None:
    async with consent_site(tmp_path, body_timeout_seconds=0.05) as site, Guest(site) as owner:
        await owner.sign_in()
        cookie = f"Cookie: {SESSION}={owner.cookies[SESSION]}"
        connection = await site.edge.connect(None)
        reply = await connection.ask(get("/logout", FORM, cookie, "Content-Length: 10", method="POST") + b"csrf")
    assert (reply.status, reply.headers["content-type"]) == (400, "text/html; charset=utf-8")


async def test_a_parameter_that_comes_twice_is_refused(owner: Guest) -> None:
    for path in ("/oauth/authorize", "/consents", "/login"):
        seen = await owner.get(f"{path}?client_id={CANARY}&client_id={CANARY}")
        check_page(seen, 400, "This request cannot be understood")


# --- trouble -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "said"), [("en", "Too many attempts"), ("zh-HK", "嘗試次數過多")])
async def test_who_comes_too_often_is_told_when_to_come_back(language: str, said: str, tmp_path: Path) -> None:
    async with consent_site(tmp_path, rate=Rate(per_second=0.1, burst=1)) as site, Guest(site) as guest:
        assert (await guest.get("/signed-out")).status == 200
        seen = await guest.get("/signed-out", Accept_Language=language)
        check_page(seen, 429, said)
        assert int(seen.headers["Retry-After"]) >= 10
        assert site.outcomes()[-1] == "RATE_LIMITED"
        site.server.clock.advance(10)
        assert (await guest.get("/signed-out")).status == 200


@pytest.mark.parametrize(
    ("language", "said"), [("en", "This does not work at the moment"), ("zh-HK", "服務暫時未能使用")]
)
async def test_a_database_that_is_gone_is_trouble_of_ours(language: str, said: str, site: Site, owner: Guest) -> None:
    site.server.state.before["session"] = UpstreamUnavailable()
    seen = await owner.get("/consents", Accept_Language=language)
    check_page(seen, 503, said)
    assert int(seen.headers["Retry-After"]) >= 1
    assert site.outcomes() == ["UPSTREAM_UNAVAILABLE"]
    assert (await owner.get("/consents")).status == 200


async def test_browsers_are_pinned_to_tls_except_those_of_a_sandbox(tmp_path: Path, site: Site, owner: Guest) -> None:
    for path in ("/consents", "/signed-out", "/login", "/consents/x"):
        assert (await owner.get(path)).headers["Strict-Transport-Security"] == "max-age=31536000"
    other = tmp_path / "sandbox"
    other.mkdir()
    async with consent_site(other, strict_transport=False) as sandbox, Guest(sandbox) as guest:
        for path in ("/consents", "/login", "/consents/x"):
            assert "Strict-Transport-Security" not in (await guest.get(path)).headers


async def test_head_is_a_page_without_its_body(owner: Guest) -> None:
    whole, head = await owner.get("/consents"), await owner.get("/consents", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Type", "Content-Security-Policy", "Cache-Control", "Content-Length"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("path", "returns"),
    [
        ("/consents", True),
        ("/auth-code", True),
        ("/interactions/" + "a" * 43, True),
        ("/interactions/" + "a" * 19, False),
        ("/interactions/" + "a" * 129, False),
        ("/interactions/" + "a" * 43 + "/x", False),
        ("/interactions/../" + "a" * 43, False),
        ("/", False),
        ("", False),
        ("/login", False),
        ("/consents/", False),
        ("/consents\n", False),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("https://evil.example/consents", False),
        ("/consents@evil.example", False),
        ("/CONSENTS", False),
    ],
)
def test_a_sign_in_comes_back_to_pages_of_ours_alone(path: str, returns: bool) -> None:
    assert returns_to(path) is returns


async def test_a_login_cookie_is_not_read_as_a_session(site: Site) -> None:
    async with Guest(site) as guest:
        await guest.get("/login")
        assert guest.cookies.keys() == {LOGIN}
        guest.cookies[SESSION] = guest.cookies[LOGIN]
        assert (await guest.get("/consents")).page.link_to("/login") is not None
