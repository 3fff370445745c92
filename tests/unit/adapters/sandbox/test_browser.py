"""A browser against small sites of a test's own, over TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from adapters.sandbox.addresses import Ports
from adapters.sandbox.browser import PAGE_BYTES_MAX, REDIRECTS_MAX, Browser, BrowserStopped, Left
from adapters.sandbox.credentials import Credentials
from adapters.sandbox.page import Page
from adapters.sandbox.serving import client_context, listening, server_context
from tests.fakes_sandbox import CLOCK

CALLBACK = "https://bank.example/callback"
LOGIN = """<form method="post" action="/sign-in"><input name="login"><input type="password" name="password">
<button>Sign in</button></form>"""
DECISION = """<form method="post" action="/decide"><input type="hidden" name="csrf" value="c">
<button name="decision" value="approve">Yes</button><button name="decision" value="refuse">No</button></form>"""
REVOCATION = '<form method="post" action="/consents/1/revocation"><button>Revoke</button></form>'


def html(body: str, *, title: str = "Page", status: int = 200, **headers: str) -> web.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    text = f"<html><head><title>{title}</title></head><body>{body}</body></html>"
    return web.Response(text=text, status=status, content_type="text/html", headers=fields)


def to(url: str, status: int = 303) -> web.Response:
    return web.Response(status=status, headers={"Location": url})


class Pages:
    """A site with a login of its own, that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.answers: dict[tuple[str, str], Callable[[web.Request], Awaitable[web.StreamResponse]]] = {}
        self.forms: list[dict[str, str]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        return app

    def on(self, method: str, path: str, response: Callable[[web.Request], web.StreamResponse]) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return response(request)

        self.answers[method, path] = answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, dict(request.headers)))
        if request.method == "POST":
            self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        return await self.answers[request.method, request.path](request)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[Pages, str, ssl.SSLContext]]:
    Credentials(tmp_path, now=int(CLOCK.now()))
    port, pages = Ports.from_base(0).consent, Pages()
    files = tmp_path / "gateway/tls/server/cert.pem", tmp_path / "gateway/tls/server/key.pem"
    async with listening([(pages.application(), port, server_context(*files))]):
        yield pages, f"https://localhost:{port}", client_context(tmp_path / "pki/ca.pem")


Site = tuple[Pages, str, ssl.SSLContext]


@asynccontextmanager
async def browsing(site: Site) -> AsyncIterator[tuple[Pages, str, Browser]]:
    pages, url, context = site
    async with Browser(context, language="zh-Hant") as browser:
        yield pages, url, browser


def with_consent(pages: Pages, *, password: str = "secret") -> None:
    """An authorization endpoint with login and consent page. The session is a cookie."""

    def authorize(request: web.Request) -> web.Response:
        return html(DECISION if request.cookies.get("session") == "s" else LOGIN, title="Authorize")

    def sign_in(_: web.Request) -> web.Response:
        if pages.forms[-1] != {"login": "seven", "password": password}:
            return html(LOGIN, title="Wrong", status=400)
        response = to("/authorize")
        response.set_cookie("session", "s", secure=True, httponly=True)
        return response

    def decide(_: web.Request) -> web.Response:
        said = "code=c" if pages.forms[-1] == {"csrf": "c", "decision": "approve"} else "error=access_denied"
        return to(f"{CALLBACK}?{said}&state=")

    pages.on("GET", "/authorize", authorize)
    pages.on("POST", "/sign-in", sign_in)
    pages.on("POST", "/decide", decide)


async def test_it_signs_in_approves_and_stops_before_the_client(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        with_consent(pages)
        answer = await browser.authorize(f"{url}/authorize?request_uri=x", CALLBACK, "seven", "secret")
        assert answer == {"code": "c", "state": ""}
        assert [page.title for page in browser.shown] == ["Authorize", "Authorize"]
        assert pages.asked[0][2]["Accept-Language"] == "zh-Hant"


async def test_who_is_signed_in_is_not_asked_again(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        with_consent(pages)
        await browser.authorize(f"{url}/authorize", CALLBACK, "seven", "secret")
        answer = await browser.authorize(f"{url}/authorize", CALLBACK, "seven", "secret", approve=False)
        assert answer == {"error": "access_denied", "state": ""}
        assert [path for _, path, _ in pages.asked].count("/sign-in") == 1


async def test_a_wrong_password_ends_at_the_login(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        with_consent(pages)
        with pytest.raises(BrowserStopped, match=r"^400 Wrong$") as stopped:
            await browser.authorize(f"{url}/authorize", CALLBACK, "seven", "other")
        assert stopped.value.status == 400
        assert len(pages.forms) == 1


async def test_a_page_without_a_decision_is_where_it_stops(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        pages.on("GET", "/authorize", lambda _: html("Not yours", title="Not yours", status=403))
        with pytest.raises(BrowserStopped, match=r"^403 Not yours$"):
            await browser.authorize(f"{url}/authorize", CALLBACK, "seven", "secret")


async def test_a_decision_that_comes_back_for_ever_is_given_up(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        pages.on("GET", "/authorize", lambda _: html(DECISION))
        pages.on("POST", "/decide", lambda _: html(DECISION))
        with pytest.raises(BrowserStopped, match="again and again"):
            await browser.authorize(f"{url}/authorize", CALLBACK, "seven", "secret")


async def test_the_link_to_the_login_is_followed(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        with_consent(pages)
        signed_in = html("<p>Yours</p>", title="Consents")
        pages.on(
            "GET",
            "/consents",
            lambda request: signed_in if request.cookies.get("session") else html('<a href="/login?to=x">Sign in</a>'),
        )
        pages.on("GET", "/login", lambda _: html(LOGIN))
        pages.on("GET", "/authorize", lambda _: to("/consents"))
        assert (await browser.page(f"{url}/consents", "seven", "secret")).title == "Consents"


async def test_a_consent_is_revoked_by_the_form_on_its_page(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        pages.on("GET", "/consents/1", lambda _: html("" if pages.forms else REVOCATION, title="Consent"))
        pages.on("POST", "/consents/1/revocation", lambda _: to("/consents/1"))
        after = await browser.revoke(f"{url}/consents/1", "seven", "secret")
        assert (after.title, after.form_to("/revocation")) == ("Consent", None)
        with pytest.raises(BrowserStopped):
            await browser.revoke(f"{url}/consents/1", "seven", "secret")


async def test_a_redirect_after_a_form_is_followed_with_get(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        pages.on("GET", "/", lambda _: html('<form method="post" action="/post"><button>go</button></form>'))
        pages.on("POST", "/post", lambda _: to("/done", 302))
        pages.on("GET", "/done", lambda _: html("", title="Done"))
        page = await browser.open(f"{url}/")
        assert isinstance(page, Page)
        after = await browser.submit(page, page.forms[0])
        assert isinstance(after, Page)
        assert (after.title, after.url) == ("Done", f"{url}/done")
        _, _, fields = pages.asked[1]
        assert (fields["Origin"], fields["Sec-Fetch-Site"]) == (url, "same-origin")
        assert fields["Content-Type"] == "application/x-www-form-urlencoded"


async def test_a_get_form_puts_its_fields_into_the_address(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        pages.on("GET", "/", lambda _: html('<form action="/find?old=1"><input name="q" value="a b"></form>'))
        pages.on("GET", "/find", lambda request: html("", title=request.rel_url.raw_query_string))
        page = await browser.open(f"{url}/")
        assert isinstance(page, Page)
        after = await browser.submit(page, page.forms[0])
        assert isinstance(after, Page)
        assert after.title == "q=a+b"


async def test_a_page_without_referrer_has_no_origin(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        pages.on("GET", "/", lambda _: html(REVOCATION, Referrer_Policy="no-referrer"))
        pages.on("POST", "/consents/1/revocation", lambda _: html(""))
        page = await browser.open(f"{url}/")
        assert isinstance(page, Page)
        await browser.submit(page, page.forms[0])
        assert pages.asked[1][2]["Origin"] == "null"


@pytest.mark.parametrize(
    ("policy", "goes"),
    [
        ("form-action 'self' https://bank.example", True),
        ("default-src 'none'", True),
        ("", True),
        ("default-src 'none'; form-action 'self'", False),
        ("form-action 'none'", False),
    ],
)
async def test_a_form_goes_where_its_page_allows_redirects_included(policy: str, goes: bool, site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        pages.on("GET", "/authorize", lambda _: html(DECISION, Content_Security_Policy=policy))
        pages.on("POST", "/decide", lambda _: to(f"{CALLBACK}?code=c"))
        if goes:
            assert await browser.authorize(f"{url}/authorize", CALLBACK, "seven", "secret") == {"code": "c"}
        else:
            with pytest.raises(BrowserStopped, match="form-action"):
                await browser.authorize(f"{url}/authorize", CALLBACK, "seven", "secret")


async def test_redirects_pages_and_parameters_are_bounded(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        pages.on("GET", "/loop", lambda _: to("/loop"))
        with pytest.raises(BrowserStopped, match="redirects"):
            await browser.open(f"{url}/loop")
        assert len(pages.asked) == REDIRECTS_MAX
        pages.on("GET", "/large", lambda _: html("x" * PAGE_BYTES_MAX))
        with pytest.raises(BrowserStopped, match="too large"):
            await browser.open(f"{url}/large")
        pages.on("GET", "/twice", lambda _: to(f"{CALLBACK}?code=a&code=b"))
        with pytest.raises(BrowserStopped, match="twice"):
            await browser.open(f"{url}/twice", stop_at=CALLBACK)


async def test_it_leaves_at_exactly_the_clients_address(site: Site) -> None:
    async with browsing(site) as (pages, url, browser):
        pages.on("GET", "/a", lambda _: to("/callback?code=1"))
        pages.on("GET", "/callback", lambda _: html("", title="Served"))
        left = await browser.open(f"{url}/a", stop_at=f"{url}/callback")
        assert left == Left(parameters={"code": "1"})
        stayed = await browser.open(f"{url}/a", stop_at=f"{url}/callback/")
        assert isinstance(stayed, Page)
        assert stayed.title == "Served"
