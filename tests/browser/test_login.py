"""The sandbox's login page in real Chromium: found by its labels, filled by keyboard, and back at the client."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from aiohttp import web
from playwright.async_api import Browser

from adapters.sandbox.serving import listening, server_context
from adapters.sandbox.signing import base64url
from tests.fakes_sandbox import Site


@dataclass(frozen=True, slots=True)
class Login:
    url: str  # an authentication request
    callback: str


@pytest.fixture
async def login(tmp_path: Path) -> AsyncIterator[Login]:
    """The running provider, and the client's own address, where the gateway would be."""
    site = Site(tmp_path)
    files = tmp_path / "gateway/tls/server/cert.pem", tmp_path / "gateway/tls/server/key.pem"
    app = web.Application()
    app.router.add_get("/login/callback", arrived)
    async with site.login() as issuer, listening([(app, site.ports.consent, server_context(*files))]):
        callback = f"https://localhost:{site.ports.consent}/login/callback"
        query = {
            "client_id": "cdi-gateway",
            "redirect_uri": callback,
            "response_type": "code",
            "scope": "openid profile",
            "state": "s",
            "code_challenge": base64url(hashlib.sha256(b"v" * 43).digest()),
            "code_challenge_method": "S256",
        }
        yield Login(f"{issuer}/authorize?{urlencode(query)}", callback)


async def arrived(request: web.Request) -> web.Response:
    return web.Response(
        text=f"<title>{'code' if 'code' in request.query else 'no code'}</title>", content_type="text/html"
    )


async def test_a_person_signs_in_with_the_keyboard_alone(login: Login, chromium: Browser) -> None:
    page = await chromium.new_page(ignore_https_errors=True, locale="zh-HK")
    await page.goto(login.url)
    await page.get_by_label("用戶名稱").focus()
    await page.keyboard.type("owner-7")
    await page.keyboard.press("Tab")
    await page.keyboard.type("sandbox-owner-7")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{login.callback}?**")
    assert await page.title() == "code"


async def test_a_wrong_password_is_said_and_can_be_corrected(login: Login, chromium: Browser) -> None:
    page = await chromium.new_page(ignore_https_errors=True, locale="en-GB")
    await page.goto(login.url)
    for password in ("wrong", "sandbox-owner-8"):
        await page.get_by_label("User name").fill("owner-8")
        await page.get_by_label("Password").fill(password)
        await page.get_by_role("button", name="Sign in").click()
        if password == "wrong":
            await page.get_by_role("alert").wait_for()
    await page.wait_for_url(f"{login.callback}?**")
    assert await page.title() == "code"


@pytest.mark.parametrize("locale", ["en-GB", "zh-HK"])
async def test_axe_finds_nothing_on_the_login(locale: str, login: Login, chromium: Browser, axe: str) -> None:
    context = await chromium.new_context(ignore_https_errors=True, locale=locale, bypass_csp=True)
    page = await context.new_page()
    await page.goto(login.url)
    await page.evaluate(axe)
    found = await page.evaluate("axe.run()")
    assert [one["id"] for one in found["violations"]] == []
