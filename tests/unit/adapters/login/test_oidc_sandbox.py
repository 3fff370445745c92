"""The login at the sandbox's provider, which was written without it, with a browser in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.login.credentials import PrivateKey
from adapters.login.oidc import OidcLogin
from adapters.sandbox.browser import Browser, Left
from adapters.sandbox.credentials import LOGIN_KEY
from adapters.sandbox.serving import client_context
from gateway.ports.authorization import LoginRefused
from tests.fakes_sandbox import CLOCK, Site

SEVEN = ("owner-7", "sandbox-owner-7")


async def test_a_company_signs_in_at_the_sandboxs_provider(tmp_path: Path) -> None:
    site = Site(tmp_path)
    context = client_context(site.folder / "pki/ca.pem")
    key = (site.folder / f"gateway/keys/{LOGIN_KEY}.pem").read_bytes()
    callback = f"https://localhost:{site.ports.consent}/login/callback"
    async with site.login() as issuer, Browser(context) as browser:
        login = OidcLogin(
            issuer=issuer,
            client_id="cdi-gateway",
            redirect_uri=callback,
            credentials=PrivateKey.of(key, key_id=LOGIN_KEY),
            ssl_context=context,
            owner_claim="data_owner_id",
            clock=CLOCK,
            entropy=os.urandom,
        )
        for fresh in (False, True):
            challenge = await login.begin(fresh=fresh, acr_values=(), locale="zh-Hant")
            left = await browser.visit(challenge.url, *SEVEN, stop_at=callback)
            assert isinstance(left, Left)
            assert (await login.finish(challenge.secret, left.parameters)).owner_id == "owner-7"
        with pytest.raises(LoginRefused, match="code"):
            await login.finish(challenge.secret, left.parameters)
        await login.aclose()
