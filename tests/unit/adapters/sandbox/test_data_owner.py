"""A data owner's browser at the gateway's pages; here a site that has the same forms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.sandbox.addresses import Ports
from adapters.sandbox.browser import BrowserStopped
from adapters.sandbox.credentials import Credentials
from adapters.sandbox.data_owner import DataOwner
from adapters.sandbox.serving import listening, server_context
from tests.fakes_sandbox import CLOCK

CALLBACK = "https://bank.example/callback"
LOGIN = '<form method="post" action="/sign-in"><input name="who"><input type="password" name="pw"></form>'


class Gateway:
    """Knows who is signed in by a cookie, and notes the decisions."""

    def __init__(self) -> None:
        self.decisions: list[str] = []
        self.sign_ins = 0
        self.revoked = False
        self.busy = self.busiest = 0

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/oauth/authorize", self.ask)
        app.router.add_get("/consents", self.ask)
        app.router.add_get("/consents/1", self.consent)
        app.router.add_post("/consents/1/revocation", self.revoke)
        app.router.add_post("/sign-in", self.sign_in)
        app.router.add_post("/decide", self.decide)
        return app

    async def ask(self, request: web.Request) -> web.Response:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if "session" not in request.cookies:
            return page(LOGIN)
        buttons = "".join(f'<button name="decision" value="{one}">{one}</button>' for one in ("approve", "refuse"))
        return page(f'<form method="post" action="/decide">{buttons}</form>')

    async def consent(self, _: web.Request) -> web.Response:
        form = '<form method="post" action="/consents/1/revocation"><button>Revoke</button></form>'
        return page("" if self.revoked else form)

    async def revoke(self, _: web.Request) -> web.Response:
        self.revoked = True
        return web.Response(status=303, headers={"Location": "/consents/1"})

    async def sign_in(self, request: web.Request) -> web.Response:
        assert dict(await request.post()) == {"who": "seven", "pw": "secret"}
        self.sign_ins += 1
        response = web.Response(status=303, headers={"Location": "/oauth/authorize"})
        response.set_cookie("session", "s", secure=True)
        return response

    async def decide(self, request: web.Request) -> web.Response:
        self.decisions.append(str((await request.post())["decision"]))
        return web.Response(status=303, headers={"Location": f"{CALLBACK}?code=c"})


def page(body: str) -> web.Response:
    return web.Response(text=f"<title>Page</title>{body}", content_type="text/html")


@dataclass(frozen=True, slots=True)
class Scene:
    gateway: Gateway
    owner: DataOwner
    url: str  # an authorization URL


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    Credentials(tmp_path, now=int(CLOCK.now()))
    port, gateway = Ports.from_base(0).consent, Gateway()
    tls = server_context(tmp_path / "gateway/tls/server/cert.pem", tmp_path / "gateway/tls/server/key.pem")
    description: dict[str, Any] = {
        "ca": "pki/ca.pem",
        "listeners": {"consent": f"https://localhost:{port}"},
        "owners": [{"id": "owner-7", "login": "seven", "password": "secret"}],
    }
    async with listening([(gateway.application(), port, tls)]), DataOwner(tmp_path, description, "owner-7") as owner:
        yield Scene(gateway, owner, f"https://localhost:{port}/oauth/authorize")


async def test_one_sign_in_is_enough_for_several_decisions(scene: Scene) -> None:
    assert await scene.owner.decide(scene.url, CALLBACK) == {"code": "c"}
    assert await scene.owner.decide(scene.url, CALLBACK, approve=False) == {"code": "c"}
    assert scene.gateway.decisions == ["approve", "refuse"]
    assert scene.gateway.sign_ins == 1
    assert len(scene.owner.shown) == 3


async def test_a_person_does_one_thing_at_a_time(scene: Scene) -> None:
    await asyncio.gather(*(scene.owner.decide(scene.url, CALLBACK) for _ in range(5)))
    assert (scene.gateway.busiest, scene.gateway.sign_ins) == (1, 1)
    assert scene.gateway.decisions == ["approve"] * 5


async def test_a_consent_is_looked_at_and_revoked(scene: Scene) -> None:
    assert (await scene.owner.consent("1")).form_to("/revocation") is not None
    assert (await scene.owner.revoke("1")).form_to("/revocation") is None
    assert (await scene.owner.consents()).form_with_button("approve") is not None
    assert scene.gateway.revoked
    with pytest.raises(BrowserStopped):
        await scene.owner.revoke("1")


def test_an_owner_that_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError):
        DataOwner(Path(), {"owners": []}, "owner-7")
