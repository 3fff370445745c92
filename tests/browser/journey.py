"""People in real Chromium at a running sandbox: they sign in at the provider, decide, and come back to their bank.

Buttons and links are found by their names as the pages' texts have them, as somebody with a screen reader finds them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request

from adapters.sandbox.bank import CONSENTS, READ, Bank, Pushed
from adapters.sandbox.cast import BANK_SOURCE, CREDIT_SOURCE
from adapters.sandbox.identity_pages import WORDS
from adapters.sandbox.world import World
from gateway.pages.languages import Language
from gateway.pages.texts import Texts

SOURCE, DOCUMENT_TYPE = CREDIT_SOURCE.participant_id, "CORPORATE_CREDIT_REPORT"
OTHER_SOURCE, OTHER_DOCUMENT_TYPE = BANK_SOURCE.participant_id, "BANK_STATEMENT"
LOCALES = {Language.EN: "en-GB", Language.ZH_HANT: "zh-HK"}
_HOUR_SECONDS = 3_600
_WAIT_MILLISECONDS = 15_000  # for what must happen
BANK_HOST = "bank-a.sandbox.example"
_BANK_PAGE = "<!DOCTYPE html><html lang=en><title>At the bank</title><h1>At the bank</h1>"


class BankSite:
    """The bank's own site, where its customers come back. `arrived`: with which queries, oldest first."""

    def __init__(self) -> None:
        self.arrived: list[dict[str, str]] = []

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/callback", self._callback)
        return application

    def answers(self, pushed: Pushed) -> list[dict[str, str]]:
        """To this request."""
        return [one for one in self.arrived if one.get("state") == pushed.state]

    async def _callback(self, request: web.Request) -> web.Response:
        self.arrived.append(dict(parse_qsl(request.query_string, strict_parsing=True)))
        return web.Response(text=_BANK_PAGE, content_type="text/html")


@dataclass  # without slots: Playwright remembers on an object which of its methods it calls
class Person:
    """Somebody with a browser of their own. `broken`: what the browser said of a broken policy. `hosts`: whom it asked
    for anything."""

    world: World
    context: BrowserContext
    tab: Page
    language: Language
    broken: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    @property
    def base(self) -> str:
        return str(self.world.description["listeners"]["consent"])

    def text(self, key: str, **names: str) -> str:
        """As the pages say it in this person's language."""
        return Texts(self.language).by_key[key].format(**names)

    def button(self, key: str) -> Locator:
        return self.tab.get_by_role("button", name=self.text(key), exact=True)

    def link(self, key: str) -> Locator:
        return self.tab.get_by_role("link", name=self.text(key), exact=True)

    async def heading(self) -> str:
        return await self.tab.get_by_role("heading", level=1).inner_text()

    async def visit(self, path: str) -> int:
        """The status."""
        response = await self.tab.goto(self.base + path)
        assert response is not None
        return response.status

    async def sign_in(self, owner_id: str = "owner-7") -> None:
        """At the provider's page, which is open."""
        account = next(one for one in self.world.description["owners"] if one["id"] == owner_id)
        words = WORDS[self.language.value]
        await self.tab.get_by_label(words.login).fill(account["login"])
        await self.tab.get_by_label(words.password).fill(account["password"])
        await self.tab.get_by_role("button", name=words.submit).click()
        await self.tab.wait_for_url(f"{self.base}/**")

    async def begin(self, owner_id: str = "owner-7", path: str = "/consents") -> None:
        """A page of theirs, signed in."""
        await self.visit(path)
        await self.link("sign_in").click()
        await self.sign_in(owner_id)

    async def arrive(self, pushed: Pushed, owner_id: str = "owner-7") -> None:
        """Sent by the bank, signed in, and in front of the question."""
        await self.tab.goto(pushed.url)
        if urlsplit(self.tab.url).netloc != urlsplit(self.base).netloc:
            await self.sign_in(owner_id)

    async def back_at(self, pushed: Pushed) -> dict[str, str]:
        """What they bring to the bank, once they are there."""
        await self.tab.wait_for_url(f"{pushed.redirect_uri}?**")
        return dict(parse_qsl(urlsplit(self.tab.url).query, strict_parsing=True))

    # --- what the browser tells --------------------------------------------------------------------------------

    def note_said(self, message: ConsoleMessage) -> None:
        if "Security Policy" in message.text:
            self.broken.append(message.text)

    def note_asked(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).hostname or "")


@asynccontextmanager
async def person(
    world: World, chromium: Browser, language: Language = Language.EN, *, well_behaved: bool = True, **options: Any
) -> AsyncIterator[Person]:
    """`well_behaved`: nothing on the way may break a policy or ask anybody else; looked at behind the block."""
    context = await chromium.new_context(ignore_https_errors=True, locale=LOCALES[language], **options)
    context.set_default_timeout(_WAIT_MILLISECONDS)
    tab = await context.new_page()
    somebody = Person(world, context, tab, language)
    tab.on("console", somebody.note_said)
    context.on("request", somebody.note_asked)
    try:
        yield somebody
        if well_behaved:
            assert somebody.broken == []
            assert somebody.hosts <= {"localhost", BANK_HOST}
    finally:
        await context.close()


# --- the bank -----------------------------------------------------------------------------------------------------


async def submitted(world: World, bank: Bank, **changes: Any) -> dict[str, Any]:
    values = {
        "token": await bank.token(CONSENTS, READ),
        "provider_id": SOURCE,
        "document_type": DOCUMENT_TYPE,
        "expire_time": int(world.clock.now()) + _HOUR_SECONDS,
    }
    reply = await bank.submit_consent(**(values | changes))
    assert reply.status == 201, reply.body
    return dict(reply.json)


async def pushed(bank: Bank, consent: Mapping[str, Any], **more: str) -> Pushed:
    reply, request = await bank.oauth.push(consent["consentId"], **more)
    assert request is not None, reply.body
    return request


async def asked(world: World, bank: Bank, **changes: Any) -> tuple[dict[str, Any], Pushed]:
    """A new consent, and the request for it that its owner is to be sent to."""
    consent = await submitted(world, bank, **changes)
    return consent, await pushed(bank, consent)


async def status(bank: Bank, consent: Mapping[str, Any]) -> str:
    reply = await bank.call("GET", f"/cdi/v1/consents/{consent['consentId']}", token=await bank.token(CONSENTS))
    assert reply.status == 200, reply.body
    return str(reply.json["status"])
