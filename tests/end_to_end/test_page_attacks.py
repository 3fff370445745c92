"""Attacks on a data owner at the consent pages: by other sites, by other owners, by who guesses, by who came before.

`Visitor` is a browser that does what the attacker wants. The owner's own browser (`adapters.sandbox.browser`) keeps
Same-Site cookies and the pages' policy by itself, and is not asked here.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import pytest_asyncio

from gateway.oauth.authcode import ALPHABET
from tests.end_to_end.fapi import TLS, Fapi, Request, check_refusal
from tests.end_to_end.stage import Stage, request
from tests.end_to_end.visitor import LOGIN, SESSION, Seen, Visitor, filled

PATHS = ("/", "/consents", "/auth-code", "/login", "/login/callback", "/signed-out", "/oauth/authorize")
CHOICE = "SZCREDIT01DP/CORPORATE_CREDIT_REPORT"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(stage: Stage) -> AsyncIterator[Visitor]:
    """owner-7, signed in."""
    async with Visitor(stage) as visitor:
        await visitor.sign_in()
        yield visitor


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other(stage: Stage) -> AsyncIterator[Visitor]:
    """owner-8, signed in: a person with a browser and consents of their own."""
    async with Visitor(stage) as visitor:
        await visitor.sign_in(owner_id="owner-8")
        yield visitor


def interaction(pushed: Request) -> str:
    return f"/interactions/{pushed.request_uri.rpartition(':')[2]}"


def check_dressed(seen: Seen) -> None:
    """What every answer to a browser says: not to be framed, not to be kept, no scripts, nothing from elsewhere."""
    fields = seen.headers
    policy = dict(part.strip().partition(" ")[::2] for part in fields["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"].split()[0] == "'self'"
    assert "unsafe" not in fields["Content-Security-Policy"]
    assert (fields["X-Frame-Options"], fields["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert fields["Referrer-Policy"] == "no-referrer"
    assert fields["Cross-Origin-Opener-Policy"] == fields["Cross-Origin-Resource-Policy"] == "same-origin"
    assert fields["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in fields
    assert b"<script" not in seen.body.lower()


# --- every page ------------------------------------------------------------------------------------------------


async def test_every_page_is_dressed_signed_in_or_not(fapi: Fapi, owner: Visitor) -> None:
    consent = await fapi.consent()
    pushed = await fapi.pushed(TLS, consent)
    paths = (
        *PATHS,
        interaction(pushed),
        f"/consents/{consent['consentId']}",
        f"/consents/{consent['consentId']}/receipt",
        f"/consents/{uuid.uuid4()}",
        "/consents/x",
        f"/interactions/{'x' * 43}",
        "/login?to=https://attacker.example",
    )
    async with Visitor(fapi.stage) as nobody:
        for path in paths:
            for visitor in (owner, nobody):
                seen = await visitor.get(path)
                assert seen.status < 500
                check_dressed(seen)
    for path in ("/auth-code", "/logout", interaction(pushed), f"/consents/{consent['consentId']}/revocation"):
        check_dressed(await owner.post(path, {}))


@pytest.mark.parametrize("host", ["localhost", "consent.bank.example", "a:99999", "localhost:x", "a[b]"])
async def test_a_sandboxs_browsers_are_not_pinned_whatever_host_they_name(host: str, stage: Stage) -> None:
    """RFC 6797 §8.2 knows no ports: `localhost` would be pinned for everything that runs on it."""
    async with stage.connection(stage.context(None), stage.world.ports.consent) as client:
        answer = await client.ask(request("GET", "/signed-out", host=host))
    assert answer.status < 500
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("path", ["/oauth/authorize", "/consents", "/oauth/token", "/oauth/par", "/oauth/jwks"])
async def test_no_script_of_another_site_reads_an_answer(path: str, fapi: Fapi, owner: Visitor) -> None:
    """FAPI 2.0 §5.2.3 (3): no CORS, neither asked for beforehand nor with the answer."""
    asks = {"Origin": "https://attacker.example", "Access-Control-Request-Method": "POST"}
    preflight = await fapi.send("OPTIONS", fapi.issuer + path, None, asks.items())
    assert preflight.status in {404, 405}
    seen = await owner.get(path, Origin="https://attacker.example")
    for headers in (preflight.headers, seen.headers):
        assert not any(name.lower().startswith("access-control") for name in headers)


async def test_a_form_leads_to_the_bank_that_asks_and_nowhere_else(fapi: Fapi, owner: Visitor) -> None:
    seen = await owner.get(interaction(await fapi.pushed()))
    policy = seen.headers["Content-Security-Policy"]
    assert policy.endswith("form-action 'self' https://bank-a.sandbox.example")
    assert (await owner.get("/consents")).headers["Content-Security-Policy"].endswith("form-action 'self'")


async def test_cookies_are_out_of_reach(fapi: Fapi) -> None:
    """RFC 6265bis §4.1.3.2: of this host, over TLS, for no script, and not sent from other sites' forms."""
    async with Visitor(fapi.stage) as visitor:
        await visitor.sign_in(to="/consents")
        await visitor.get("/consents?lang=zh-Hant")
        own = [one for one in visitor.seen if one.url.startswith(fapi.issuer)]
        fields = [field for one in own for field in one.headers.getall("Set-Cookie", [])]
        names = {field.partition("=")[0] for field in fields}
        assert names == {SESSION, LOGIN, "__Host-language"}
        for field in fields:
            attributes = {part.strip().lower() for part in field.split(";")[1:]}
            assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes, field
            assert not any(attribute.startswith("domain") for attribute in attributes)


@pytest.mark.parametrize(
    "name", ["/%2e%2e/etc/passwd", "/static/../gateway.yaml", "/favicon.ico", "//attacker.example"]
)
async def test_other_paths_do_not_exist(name: str, owner: Visitor) -> None:
    seen = await owner._send("GET", f"{owner.base}{name}", {}, None)
    assert seen.status in {400, 404}


# --- open redirect ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    [
        "https://attacker.example/",
        "//attacker.example/",
        "/\\attacker.example",
        "\\\\attacker.example",
        "/consents/../../attacker",
        "/consents@attacker.example",
        "/consents?next=https://attacker.example",
        "/consents\r\nLocation: https://attacker.example",
        "/consents\n",
        "javascript:alert(1)",
        "/interactions/x",
        "/login",
        "/logout",
        "https:/consents",
    ],
)
async def test_sign_in_leads_to_no_other_place(to: str, fapi: Fapi) -> None:
    async with Visitor(fapi.stage) as visitor:
        seen = await visitor.get(f"/login?to={quote(to, safe='')}")
        assert (seen.status, "Location" in seen.headers) == (400, False)
        assert b"attacker" not in seen.body


async def test_a_way_back_that_was_not_sealed_here_is_not_taken(fapi: Fapi) -> None:
    """The path to come back to lies in a sealed cookie: a forged, cut or foreign one counts for nothing."""
    async with Visitor(fapi.stage) as visitor:
        callback = await visitor.begin_sign_in()
        sealed = visitor.cookies[LOGIN]
        for forged in (sealed[:-4] + "AAAA", sealed[10:], "x", "e30=", visitor.cookies.get(SESSION, "")):
            visitor.cookies[LOGIN] = forged
            seen = await visitor.get(callback.location)
            assert (seen.status, "Location" in seen.headers, SESSION in visitor.cookies) == (403, False, False)


# --- forms from elsewhere --------------------------------------------------------------------------------------


Forms = dict[str, tuple[str, dict[str, str]]]


async def forms(fapi: Fapi, owner: Visitor) -> Forms:
    """Every form that there is, filled in, for owner-7."""
    consent = await fapi.consent()
    decision = interaction(await fapi.pushed(TLS, consent))
    shown = f"/consents/{consent['consentId']}"
    await fapi.tokens(TLS, consent)  # valid, so that it can be revoked
    undecided = await fapi.pushed()
    decision = interaction(undecided)
    return {
        "decision": (decision, filled(await owner.form(decision, decision)) | {"decision": "approve"}),
        "revocation": (f"{shown}/revocation", filled(await owner.form(shown, "/revocation"))),
        "auth code": ("/auth-code", filled(await owner.form("/auth-code", "/auth-code")) | {"choice": CHOICE}),
        "logout": ("/logout", filled(await owner.form("/consents", "/logout"))),
    }


async def test_no_form_counts_that_another_site_sends(fapi: Fapi, owner: Visitor, other: Visitor) -> None:
    """CSRF: without the token, with another session's, with one of the attacker's making; or sent from another site."""
    theirs = filled(await other.form("/consents", "/logout"))["csrf"]
    for name, (path, good) in (await forms(fapi, owner)).items():
        for token in ("", theirs, "x" * 64, good["csrf"][:-1], good["csrf"].upper()):
            sent = {field: value for field, value in (good | {"csrf": token}).items() if value}
            seen = await owner.post(path, sent)
            assert (seen.status, "Location" in seen.headers) == (403, False), name
        for site in ("cross-site", "same-site"):
            seen = await owner.post(path, good, Sec_Fetch_Site=site)
            assert (seen.status, "Location" in seen.headers) == (403, False), name
        for media_type in ("text/plain", "application/json", "multipart/form-data; boundary=x"):
            seen = await owner.post(path, good, Content_Type=media_type)
            assert (seen.status, "Location" in seen.headers) == (400, False), name
        cookies, owner.cookies = owner.cookies, {}
        seen = await owner.post(path, good)
        owner.cookies = cookies
        assert "Location" not in seen.headers, name
        assert "sign in" in seen.page.text.lower(), name
    assert (await owner.get("/consents")).status == 200  # still signed in


async def test_no_form_counts_that_is_sent_by_a_link(fapi: Fapi, owner: Visitor) -> None:
    """GET changes nothing."""
    consent = await fapi.consent()
    await fapi.tokens(TLS, consent)
    assert (await owner.get(f"/consents/{consent['consentId']}/revocation?reason=OTHER")).status == 405
    assert (await owner.get("/logout")).status == 405
    decision = interaction(await fapi.pushed())
    assert (await owner.get(f"{decision}?decision=approve")).status == 200


async def test_a_form_with_a_field_twice_is_refused(fapi: Fapi, owner: Visitor) -> None:
    decision = interaction(await fapi.pushed())
    good = filled(await owner.form(decision, decision))
    body = f"csrf={good['csrf']}&decision=refuse&decision=approve".encode()
    seen = await owner._send("POST", decision, {"Content-Type": "application/x-www-form-urlencoded"}, body)
    assert (seen.status, "Location" in seen.headers) == (400, False)
    for nonsense in ("", "perhaps", "APPROVE"):
        assert (await owner.post(decision, good | {"decision": nonsense})).status == 400


async def test_a_consent_form_counts_once(fapi: Fapi, owner: Visitor) -> None:
    """Replay: the same form again, one after the other and together."""
    pushed = await fapi.pushed()
    decision = interaction(pushed)
    good = filled(await owner.form(decision, decision)) | {"decision": "approve"}
    seen = await asyncio.gather(*(owner.post(decision, good) for _ in range(8)))
    codes = [one for one in seen if one.status == 303 and "code=" in one.location]
    assert len(codes) == 1
    again = await owner.post(decision, good)
    assert (again.status, "Location" in again.headers) == (410, False)
    assert (await owner.post(decision, good | {"decision": "refuse"})).status == 410
    assert (await owner.get(decision)).status == 410


# --- sessions --------------------------------------------------------------------------------------------------


async def test_a_session_that_was_put_into_a_browser_is_nobodys(fapi: Fapi) -> None:
    """Fixation: the attacker's cookie is not taken over by a sign-in, and a sign-in makes a new one each time."""
    async with Visitor(fapi.stage) as victim:
        victim.cookies[SESSION] = "planted-by-the-attacker"
        await victim.sign_in()
        first = victim.cookies[SESSION]
        assert first != "planted-by-the-attacker"
        await victim.sign_in_again()
        assert victim.cookies[SESSION] != first
        async with Visitor(fapi.stage, cookies={SESSION: first}) as attacker:
            assert b"/login?to=" in (await attacker.get("/consents")).body  # the earlier session has ended


async def test_after_signing_out_the_cookie_is_worth_nothing(fapi: Fapi) -> None:
    async with Visitor(fapi.stage) as visitor:
        await visitor.sign_in()
        stolen = visitor.cookies[SESSION]
        seen = await visitor.post("/logout", filled(await visitor.form("/consents", "/logout")))
        assert (seen.status, urlsplit(seen.location).path) == (303, "/signed-out")
        assert SESSION not in visitor.cookies
        visitor.cookies[SESSION] = stolen
        assert (await visitor.get("/consents")).page.link_to("/login") is not None


@pytest.mark.parametrize("cookie", ["x", "x" * 43, "x" * 5_000, "%00", '"'])
async def test_guessed_sessions_are_nobodys(cookie: str, fapi: Fapi) -> None:
    async with Visitor(fapi.stage, cookies={SESSION: cookie}) as visitor:
        seen = await visitor.get("/consents")
        assert (seen.status, seen.page.link_to("/login") is not None) == (200, True)


async def test_a_login_callback_counts_once_and_in_its_own_browser(fapi: Fapi) -> None:
    """Login CSRF and replay: the attacker's callback brings the victim no session, a used one nobody."""
    async with Visitor(fapi.stage) as attacker, Visitor(fapi.stage) as victim:
        callback = (await attacker.begin_sign_in()).location
        for cookies in ({}, dict((await victim.begin_sign_in(owner_id="owner-8"), victim.cookies)[1])):
            victim.cookies = cookies
            seen = await victim.get(callback)
            assert (seen.status, "Location" in seen.headers, SESSION in victim.cookies) == (403, False, False)
        journey = dict(attacker.cookies)
        assert (await attacker.get(callback)).status == 303
        attacker.cookies = journey
        seen = await attacker.get(callback)
        assert (seen.status, SESSION in attacker.cookies) == (403, False)


@pytest.mark.parametrize(
    "query", ["", "?code=x", "?code=x&state=y", "?error=access_denied&state=y", "?state=a&state=b"]
)
async def test_a_made_up_login_callback_brings_no_session(query: str, fapi: Fapi) -> None:
    async with Visitor(fapi.stage) as visitor:
        await visitor.get("/login?to=/consents")
        seen = await visitor.get(f"/login/callback{query}")
        assert (seen.status in {400, 403}, SESSION in visitor.cookies) == (True, False)


# --- other people's consents -----------------------------------------------------------------------------------


async def test_another_owners_consent_is_on_no_page(fapi: Fapi, owner: Visitor, other: Visitor) -> None:
    """Their id gives the same bytes as one that nobody has; a pushed request for it says only that it is not theirs."""
    consent = await fapi.consent()
    await fapi.tokens(TLS, consent)
    theirs, nobodys = f"/consents/{consent['consentId']}", f"/consents/{uuid.uuid4()}"
    assert consent["consentId"].encode() in (await owner.get("/consents")).body
    assert consent["consentId"].encode() not in (await other.get("/consents")).body
    assert (await other.get(f"/consents?after={consent['consentId']}")).status == 200
    for ending in ("", "/receipt"):
        shown = [_without_reference(await other.get(path + ending)) for path in (theirs, nobodys)]
        assert shown[0] == shown[1]
        assert shown[0][0] == 404
    csrf = filled(await other.form("/consents", "/logout"))["csrf"]
    sent = {"csrf": csrf, "reason": "OTHER"}
    shown = [_without_reference(await other.post(f"{path}/revocation", sent)) for path in (theirs, nobodys)]
    assert shown[0] == shown[1]
    assert shown[0][0] == 404


def _without_reference(seen: Seen) -> tuple[int, bytes]:
    """The answer less what is different each time: the interaction id that people may quote."""
    return seen.status, seen.body.replace(seen.headers["x-fapi-interaction-id"].encode(), b"")


async def test_another_owner_cannot_decide(fapi: Fapi, other: Visitor) -> None:
    pushed = await fapi.pushed()
    decision = interaction(pushed)
    seen = await other.get(decision)
    assert (seen.status, b"SZCREDIT" in seen.body, b"Bank A" in seen.body) == (403, False, False)
    csrf = filled(await other.form("/consents", "/logout"))["csrf"]
    for choice in ("approve", "refuse"):
        seen = await other.post(decision, {"csrf": csrf, "decision": choice})
        assert (seen.status, "Location" in seen.headers) == (403, False)
    assert "code" in (await fapi.decided(pushed)).answer  # for its own owner it is still there


# --- Auth Codes ------------------------------------------------------------------------------------------------


async def auth_code(owner: Visitor, choice: str = CHOICE) -> str:
    sent = filled(await owner.form("/auth-code", "/auth-code")) | {"choice": choice}
    page = (await owner.post("/auth-code", sent)).page
    codes = [word for word in page.text.replace(" ", "\n").split() if len(word) == 5 and set(word) <= set(ALPHABET)]
    return codes[0] + codes[1]


async def spent(fapi: Fapi, code: str, **changes: Any) -> dict[str, Any]:
    """The consent that a bank submits with this code."""
    owner_id = changes.pop("owner_id", "owner-7")
    private = {"dataOwnerId": owner_id, "dataOwnerName": "Example", "purposePrivate": code}
    return await fapi.consent(private=private, **changes)


async def test_an_auth_code_counts_once_for_its_owner_source_and_document(fapi: Fapi, owner: Visitor) -> None:
    code = await auth_code(owner)
    wrong: tuple[dict[str, Any], ...] = (
        {"owner_id": "owner-8"},
        {"provider_id": "SZBANK0001DP", "document_type": "BANK_STATEMENT"},
        {"document_type": "PERSONAL_CREDIT_REPORT"},
    )
    for changes in wrong:
        consent = await spent(fapi, code, **changes)
        assert (consent["status"], consent["rejectReasonCode"]) == (
            "ConsentRejected",
            "ConsentRejectReasonInvalidSignature",
        )
    together = await asyncio.gather(*(spent(fapi, code) for _ in range(6)))
    assert sorted(one["status"] for one in together) == [*["ConsentRejected"] * 5, "ConsentValid"]
    assert (await spent(fapi, code))["status"] == "ConsentRejected"


async def test_guessed_auth_codes_make_no_consent_valid(fapi: Fapi) -> None:
    guesses = [
        "".join(ALPHABET[byte % len(ALPHABET)] for byte in hashlib.sha256(str(number).encode()).digest()[:10])
        for number in range(20)
    ]
    made = await asyncio.gather(*(spent(fapi, guess) for guess in guesses))
    # A text that is no code of anybody is a text: it waits for its owner.
    assert {one["status"] for one in made} == {"ConsentSubmitted"}


async def test_an_owner_gets_so_many_auth_codes_in_an_hour(fapi: Fapi) -> None:
    """owner-9, whom no other test needs for it."""
    async with Visitor(fapi.stage) as owner:
        await owner.sign_in(owner_id="owner-9")
        sent = filled(await owner.form("/auth-code", "/auth-code")) | {"choice": CHOICE}
        answers = [await owner.post("/auth-code", sent) for _ in range(11)]
        assert [one.status for one in answers] == [*[200] * 10, 429]
        assert int(answers[-1].headers["Retry-After"]) > 0


@pytest.mark.parametrize("choice", ["", "x", "SZCREDIT01DP", "SZCREDIT01DP/BANK_STATEMENT", "BANKA01DC/BANK_STATEMENT"])
async def test_an_auth_code_for_what_is_not_offered_is_refused(choice: str, owner: Visitor) -> None:
    sent = filled(await owner.form("/auth-code", "/auth-code")) | {"choice": choice}
    assert (await owner.post("/auth-code", {name: value for name, value in sent.items() if value})).status == 400


async def test_an_unused_page_consent_gives_no_token_by_itself(fapi: Fapi) -> None:
    consent = await fapi.consent()
    detail = f'[{{"type":"cdi_consent","consentId":"{consent["consentId"]}"}}]'
    form = {"grant_type": "client_credentials", "scope": "cdi:data-requests", "authorization_details": detail}
    check_refusal(await fapi.ask("token", TLS, form), "invalid_grant")
