"""The identity provider over real TLS, as its client and as a browser see it."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from adapters.sandbox.assertions import ASSERTION_TYPE
from adapters.sandbox.browser import Browser, BrowserStopped, Left
from adapters.sandbox.credentials import LOGIN_KEY
from adapters.sandbox.identity_provider import ATTEMPTS_MAX
from adapters.sandbox.page import Page
from adapters.sandbox.serving import client_context
from adapters.sandbox.signing import KeySigner, base64url
from tests.fakes_sandbox import CLOCK, Site

VERIFIER = "v" * 43
SEVEN = ("owner-7", "sandbox-owner-7")


class Client:
    """The gateway's side, written out."""

    def __init__(self, site: Site, issuer: str) -> None:
        self.site, self.issuer = site, issuer
        self.callback = f"https://localhost:{site.ports.consent}/login/callback"
        self.context = client_context(site.folder / "pki/ca.pem")

    def url(self, **changes: str | None) -> str:
        query = {
            "client_id": "cdi-gateway",
            "redirect_uri": self.callback,
            "response_type": "code",
            "scope": "openid profile",
            "state": "the state",
            "nonce": "the nonce",
            "code_challenge": base64url(hashlib.sha256(VERIFIER.encode()).digest()),
            "code_challenge_method": "S256",
        } | changes
        return (
            f"{self.issuer}/authorize?{urlencode({name: value for name, value in query.items() if value is not None})}"
        )

    def form(self, code: str) -> dict[str, str]:
        now = int(CLOCK.now())
        claims = {"iss": "cdi-gateway", "sub": "cdi-gateway", "aud": self.issuer, "exp": now + 60}
        signer = KeySigner.read(LOGIN_KEY, self.site.folder / f"gateway/keys/{LOGIN_KEY}.pem")
        assertion = signer.sign_jws({"typ": "JWT"}, orjson.dumps(claims | {"jti": str(uuid.uuid4())}))
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback,
            "code_verifier": VERIFIER,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }

    async def send(self, method: str, path: str, data: Any = None) -> tuple[int, Any, dict[str, str]]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.issuer + path, data=data, ssl=self.context, allow_redirects=False) as response,
        ):
            body = await response.read()
            parsed = orjson.loads(body) if "json" in response.content_type else body.decode()
            return response.status, parsed, dict(response.headers)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    site = Site(tmp_path)
    async with site.login() as issuer:
        yield Client(site, issuer)


@pytest.fixture
async def browser(client: Client) -> AsyncIterator[Browser]:
    async with Browser(client.context) as browser:
        yield browser


async def back(client: Client, browser: Browser, account: tuple[str, str] = SEVEN, **changes: str) -> dict[str, str]:
    left = await browser.visit(client.url(**changes), *account, stop_at=client.callback)
    assert isinstance(left, Left)
    return left.parameters


async def id_token(client: Client, code: str) -> dict[str, Any]:
    status, answer, _ = await client.send("POST", "/token", client.form(code))
    assert status == 200, answer
    _, jwks, _ = await client.send("GET", "/jwks")
    claims: dict[str, Any] = jwt.decode(answer["id_token"], KeySet.import_key_set(jwks), algorithms=["ES256"]).claims
    return claims


async def test_discovery_says_what_is_served(client: Client) -> None:
    _, metadata, _ = await client.send("GET", "/.well-known/openid-configuration")
    assert metadata["issuer"] == client.issuer
    assert metadata["token_endpoint"] == f"{client.issuer}/token"
    assert metadata["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert metadata["id_token_signing_alg_values_supported"] == ["ES256"]
    assert metadata["code_challenge_methods_supported"] == ["S256"]


async def test_a_person_signs_in_and_the_client_learns_who(client: Client, browser: Browser) -> None:
    answer = await back(client, browser)
    assert (answer["state"], answer["iss"]) == ("the state", client.issuer)
    claims = await id_token(client, answer["code"])
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (client.issuer, "cdi-gateway", "the nonce")
    assert (claims["data_owner_id"], claims["name"]) == ("owner-7", "Example Trading Co., Ltd.")
    assert claims["auth_time"] <= claims["iat"]


@pytest.mark.parametrize("owner", ["owner-8", "owner-9"])
async def test_each_account_is_a_data_owner_of_its_own(owner: str, client: Client, browser: Browser) -> None:
    answer = await back(client, browser, (owner, f"sandbox-{owner}"))
    assert (await id_token(client, answer["code"]))["data_owner_id"] == owner


async def test_a_session_answers_at_once_and_keeps_the_time_of_the_sign_in(client: Client, browser: Browser) -> None:
    first = await id_token(client, (await back(client, browser))["code"])
    again = await browser.open(client.url(prompt="none"), stop_at=client.callback)
    assert isinstance(again, Left)
    assert (await id_token(client, again.parameters["code"]))["auth_time"] == first["auth_time"]


async def test_a_fresh_sign_in_asks_again(client: Client, browser: Browser) -> None:
    await back(client, browser)
    for fresh in ({"prompt": "login"}, {"max_age": "0", "prompt": "login"}):
        page = await browser.open(client.url(**fresh), stop_at=client.callback)
        assert isinstance(page, Page)
        assert page.forms[0].password_field is not None


async def test_the_form_is_in_the_language_that_the_client_asks_for(client: Client, browser: Browser) -> None:
    page = await browser.open(client.url(ui_locales="zh-Hant en"))
    assert isinstance(page, Page)
    assert (page.language, page.forms[0].fields[1].label) == ("zh-Hant", "用戶名稱")
    assert "script" not in page.html


async def test_a_wrong_password_shows_the_form_again_and_then_a_lock(client: Client, browser: Browser) -> None:
    statuses = []
    for _ in range(ATTEMPTS_MAX + 1):
        with pytest.raises(BrowserStopped) as stopped:
            await browser.visit(client.url(), "owner-7", "wrong")
        statuses.append(stopped.value.status)
    assert statuses == [400] * ATTEMPTS_MAX + [429]
    with pytest.raises(BrowserStopped) as stopped:
        await browser.visit(client.url(), *SEVEN)
    assert stopped.value.status == 429


async def test_a_form_of_another_browser_signs_nobody_in(client: Client, browser: Browser) -> None:
    page = await browser.open(client.url())
    assert isinstance(page, Page)
    form = dict(page.forms[0].filled({"login": SEVEN[0], "password": SEVEN[1]}, None))
    status, _, headers = await client.send("POST", "/sign-in", form)
    assert status == 400
    assert "Location" not in headers


async def test_a_sign_in_is_finished_once(client: Client, browser: Browser) -> None:
    page = await browser.open(client.url())
    assert isinstance(page, Page)
    values = {"login": SEVEN[0], "password": SEVEN[1]}
    assert isinstance(await browser.submit(page, page.forms[0], values, stop_at=client.callback), Left)
    again = await browser.submit(page, page.forms[0], values, stop_at=client.callback)
    assert isinstance(again, Page)
    assert again.status == 400


@pytest.mark.parametrize(
    "change", [{"client_id": "other"}, {"redirect_uri": "https://attacker.example/"}, {"client_id": None}], ids=str
)
async def test_an_unknown_client_gets_no_redirect(change: dict[str, str | None], client: Client) -> None:
    status, page, headers = await client.send("GET", client.url(**change).removeprefix(client.issuer))
    assert status == 400
    assert "Location" not in headers
    assert "attacker" not in page


async def test_a_parameter_that_comes_twice_is_none(client: Client) -> None:
    path = client.url().removeprefix(client.issuer)
    assert (await client.send("GET", f"{path}&redirect_uri=https://attacker.example/"))[0] == 400
    form = aiohttp.FormData([*client.form("code").items(), ("code", "other")])
    assert (await client.send("POST", "/token", form))[0] == 401


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"prompt": "none"}, "login_required"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"request": "e30."}, "request_not_supported"),
    ],
    ids=str,
)
async def test_a_refusal_goes_back_to_the_client(
    change: dict[str, str], error: str, client: Client, browser: Browser
) -> None:
    left = await browser.open(client.url(**change), stop_at=client.callback)
    assert isinstance(left, Left)
    assert (left.parameters["error"], left.parameters["state"]) == (error, "the state")
    assert left.parameters["iss"] == client.issuer


async def test_a_code_is_good_once_for_who_began(client: Client, browser: Browser) -> None:
    code = (await back(client, browser))["code"]
    wrong = client.form(code) | {"code_verifier": "w" * 43}
    assert (await client.send("POST", "/token", wrong))[1]["error"] == "invalid_grant"
    status, answer, headers = await client.send("POST", "/token", client.form(code))
    assert (status, answer["error"]) == (400, "invalid_grant")
    assert headers["Cache-Control"] == "no-store"


async def test_nobody_but_the_client_redeems(client: Client, browser: Browser) -> None:
    code = (await back(client, browser))["code"]
    other = KeySigner.create(LOGIN_KEY).sign_jws({"typ": "JWT"}, b"{}")
    status, answer, _ = await client.send("POST", "/token", client.form(code) | {"client_assertion": other})
    assert (status, answer["error"]) == (401, "invalid_client")
    assert (await id_token(client, code))["data_owner_id"] == "owner-7"


async def test_pages_cannot_be_framed_and_cookies_are_of_this_host_alone(client: Client) -> None:
    _, _, headers = await client.send("GET", client.url().removeprefix(client.issuer))
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    cookie = headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))


def test_an_owners_password_is_not_in_the_providers_configuration(tmp_path: Path) -> None:
    text = (Site(tmp_path).folder / "login/login.json").read_text()
    assert "sandbox-owner" not in text
    assert len(base64.b64decode(orjson.loads(text)["subjectKey"])) == 32
