"""A client that behaves as a person's browser: cookies, redirects, HTML forms, and the policies that browsers keep.

It runs no script. Tests, the demo and `sandbox token` use it to sign in and to decide as a data owner.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import aiohttp

from adapters.sandbox.page import Button, Form, Page, read

REDIRECTS_MAX = 20  # as browsers have it
SIGN_IN_PATH = "/login"  # where the gateway's pages lead who is not signed in
STEPS_MAX = 8  # forms on the way to a decision
PAGE_BYTES_MAX = 1_048_576
_REMEMBERED_MAX = 100
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD = frozenset({307, 308})  # RFC 9110 §15.4.8
_FIELDS = {
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (cdi-gateway sandbox)",
}


class BrowserStopped(Exception):
    """The person gets no further; the text says where, without addresses. `status`: of the page that was shown."""

    def __init__(self, text: str, *, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A redirect that left for the client: its parameters."""

    parameters: dict[str, str]


class Browser:
    """One person's browser, with the cookies of this run. Use as an async context manager."""

    def __init__(self, context: ssl.SSLContext, *, language: str = "en") -> None:
        """`language`: Accept-Language."""
        self._context, self._language = context, language
        self.shown: deque[Page] = deque(maxlen=_REMEMBERED_MAX)
        """The pages that the person saw last, oldest first."""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context),
            timeout=_TIMEOUT,
            headers={**_FIELDS, "Accept-Language": self._language},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def open(self, url: str, *, stop_at: str | None = None) -> Page | Left:
        """Where this address leads: a page, or away to the redirect URI `stop_at`. Raises BrowserStopped."""
        return await self._navigate("GET", url, entries=None, page=None, stop_at=stop_at)

    async def submit(
        self,
        page: Page,
        form: Form,
        values: Mapping[str, str] | None = None,
        button: Button | None = None,
        *,
        stop_at: str | None = None,
    ) -> Page | Left:
        """Fill the form and press its button. Raises BrowserStopped; KeyError for a field that is not there."""
        entries = form.filled(values or {}, button)
        url = button.action if button is not None and button.action else form.action
        if form.method == "GET":
            return await self._navigate(
                "GET", f"{url.partition('?')[0]}?{urlencode(entries)}", entries=None, page=page, stop_at=stop_at
            )
        return await self._navigate("POST", url, entries=entries, page=page, stop_at=stop_at)

    # --- what a data owner does -----------------------------------------------------------------------------

    async def authorize(
        self, url: str, redirect_uri: str, login: str, password: str, *, approve: bool = True
    ) -> dict[str, str]:
        """Open an authorization URL, sign in where a login form comes, approve or refuse on the consent page.

        Returns the parameters of the redirect back to the client. Raises BrowserStopped when it does not come to it.
        """
        shown = await self.visit(url, login, password, stop_at=redirect_uri)
        for _ in range(STEPS_MAX):
            if isinstance(shown, Left):
                return shown.parameters
            found = shown.form_with_button("approve" if approve else "refuse")
            if found is None:
                raise _stopped_at(shown)
            shown = await self.submit(shown, found[0], button=found[1], stop_at=redirect_uri)
            # A decision may need a fresh sign-in.
            shown = await self._signed_in(shown, login, password, stop_at=redirect_uri)
        raise BrowserStopped("the pages ask for a decision again and again")

    async def visit(self, url: str, login: str, password: str, *, stop_at: str | None = None) -> Page | Left:
        """Open a page, signing in where a login form comes. Raises BrowserStopped."""
        return await self._signed_in(await self.open(url, stop_at=stop_at), login, password, stop_at=stop_at)

    async def page(self, url: str, login: str, password: str) -> Page:
        """The page at this address for who is signed in then. Raises BrowserStopped, also for an error page."""
        shown = await self.visit(url, login, password)
        if isinstance(shown, Left) or shown.status >= 400:
            raise _stopped_at(shown)
        return shown

    async def revoke(self, url: str, login: str, password: str) -> Page:
        """Revoke the consent whose page this is; the page that is shown then. Raises BrowserStopped."""
        shown = await self.page(url, login, password)
        form = shown.form_to("/revocation")
        if form is None:
            raise _stopped_at(shown)
        after = await self.submit(shown, form, button=form.buttons[0] if form.buttons else None)
        after = await self._signed_in(after, login, password)
        if isinstance(after, Left) or after.status >= 400:
            raise _stopped_at(after)
        return after

    async def _signed_in(
        self, shown: Page | Left, login: str, password: str, *, stop_at: str | None = None
    ) -> Page | Left:
        """Follow the link to the login, and fill its form, once: who is asked again has been refused."""
        if isinstance(shown, Page) and shown.status < 400 and (link := shown.link_to(SIGN_IN_PATH)) is not None:
            shown = await self._navigate("GET", link, entries=None, page=shown, stop_at=stop_at)
        form = _login_form(shown)
        if form is None or isinstance(shown, Left):
            return shown
        name, secret = form.text_field, form.password_field
        if name is None or secret is None:
            raise BrowserStopped("a login form without a field for the name", status=shown.status)
        button = form.buttons[0] if form.buttons else None
        after = await self.submit(shown, form, {name.name: login, secret.name: password}, button, stop_at=stop_at)
        if _login_form(after) is not None:
            raise _stopped_at(after)
        return after

    # --- navigation -----------------------------------------------------------------------------------------

    async def _navigate(
        self, method: str, url: str, *, entries: list[tuple[str, str]] | None, page: Page | None, stop_at: str | None
    ) -> Page | Left:
        if self._session is None:
            raise RuntimeError("the browser is not open")
        from_form = page if entries is not None else None
        for _ in range(REDIRECTS_MAX):
            if from_form is not None and not _form_may_go(from_form, url):
                raise BrowserStopped("the page's form-action forbids where its form leads", status=from_form.status)
            if stop_at is not None and url.partition("?")[0] == stop_at:
                return Left(parameters=_parameters(url))
            fields = {"Sec-Fetch-Site": _site(page, url)}
            if method == "POST":
                fields["Origin"] = _origin_field(page)
            body = None if entries is None else urlencode(entries).encode()
            if body is not None:
                fields["Content-Type"] = "application/x-www-form-urlencoded"
            async with self._session.request(method, url, data=body, headers=fields, allow_redirects=False) as response:
                if response.status not in _REDIRECTS or "Location" not in response.headers:
                    html = await _html(response)
                    self.shown.append(read(html, url=url, status=response.status, headers=response.headers))
                    return self.shown[-1]
                url = urljoin(url, response.headers["Location"])
                if response.status not in _KEEPS_METHOD:
                    method, entries = "GET", None
        raise BrowserStopped("too many redirects")


async def _html(response: aiohttp.ClientResponse) -> str:
    """Raises BrowserStopped when it is too large for a page."""
    body = b""
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > PAGE_BYTES_MAX:
            raise BrowserStopped("the page is too large", status=response.status)
    return body.decode(errors="replace")


def _login_form(shown: Page | Left) -> Form | None:
    if isinstance(shown, Left):
        return None
    return next((form for form in shown.forms if form.password_field is not None), None)


def _stopped_at(shown: Page | Left) -> BrowserStopped:
    if isinstance(shown, Left):
        return BrowserStopped("the pages led back to the client")
    return BrowserStopped(f"{shown.status} {shown.title}", status=shown.status)


def _parameters(url: str) -> dict[str, str]:
    """Raises BrowserStopped when one comes twice."""
    found = parse_qs(urlsplit(url).query, keep_blank_values=True)
    if any(len(values) > 1 for values in found.values()):
        raise BrowserStopped("a parameter comes twice")
    return {name: values[0] for name, values in found.items()}


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _origin_field(page: Page | None) -> str:
    """Fetch Standard, "append a request Origin header": a page without referrer has none either."""
    if page is None or page.headers.get("referrer-policy") == "no-referrer":
        return "null"
    return origin(page.url)


def _site(page: Page | None, url: str) -> str:
    """Sec-Fetch-Site. A site is scheme and registrable domain, whatever the port."""
    if page is None:
        return "none"
    if origin(page.url) == origin(url):
        return "same-origin"
    return "same-site" if urlsplit(page.url).hostname == urlsplit(url).hostname else "cross-site"


def _form_may_go(page: Page, url: str) -> bool:
    """CSP 3 §6.5.1 `form-action`, for sources that are 'self' or an origin. Redirects count as well."""
    for directive in page.headers.get("content-security-policy", "").split(";"):
        name, *sources = directive.split() or [""]
        if name.lower() == "form-action":
            allowed = {origin(page.url) if source == "'self'" else source.rstrip("/") for source in sources}
            return origin(url) in allowed
    return True
