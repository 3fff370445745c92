"""A browser without manners: its cookies lie open, and it sends what a test wants and nothing by itself.

`adapters.sandbox.browser` behaves as browsers do; this one behaves as an attacker does who has a part of the picture.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode, urljoin

import aiohttp
from multidict import CIMultiDictProxy

from adapters.sandbox.page import Form, Page, read
from tests.end_to_end.stage import Stage

SESSION, LOGIN = "__Host-session", "__Host-login"
_REDIRECTS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An answer as it came."""

    url: str
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def location(self) -> str:
        return urljoin(self.url, self.headers["Location"])

    @property
    def page(self) -> Page:
        return read(self.body.decode(), url=self.url, status=self.status, headers=dict(self.headers))


@dataclass(slots=True)
class Visitor:
    """Use as an async context manager. `cookies`: those that are sent, by name."""

    stage: Stage
    language: str = "en"
    cookies: dict[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    _session: aiohttp.ClientSession = field(init=False)
    _context: ssl.SSLContext = field(init=False)

    async def __aenter__(self) -> Self:
        self._context = self.stage.context(None)
        self._session = aiohttp.ClientSession(
            # A reload ends idle connections: one that is taken up again at that moment fails for no fault of anybody.
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @property
    def base(self) -> str:
        return str(self.stage.world.description["issuer"]["issuer"])

    async def get(self, path: str, **fields: str) -> Seen:
        return await self._send("GET", path, fields, None)

    async def post(self, path: str, form: Mapping[str, str], **fields: str) -> Seen:
        """`fields`: of the header, with `_` for `-`."""
        content_type = {"Content_Type": "application/x-www-form-urlencoded"}
        return await self._send("POST", path, content_type | fields, urlencode(form).encode())

    async def follow(self, answer: Seen, *, until: str = "") -> Seen:
        """Where redirects lead. Those to `until` (a beginning), or away from this machine, are not followed."""
        for _ in range(_REDIRECTS_MAX):
            if answer.status not in {302, 303} or not answer.location.startswith("https://localhost"):
                return answer
            if until and answer.location.startswith(until):
                return answer
            answer = await self.get(answer.location)
        raise AssertionError("too many redirects")

    async def begin_sign_in(self, to: str = "/consents", owner_id: str = "owner-7") -> Seen:
        """All of a sign-in but the last step: the redirect to the callback that brings the session."""
        form_page = (await self.follow(await self.get(f"/login?to={to}"))).page
        account = next(one for one in self.stage.world.description["owners"] if one["id"] == owner_id)
        (form,) = (one for one in form_page.forms if one.password_field is not None)
        name, secret = form.text_field, form.password_field
        assert name is not None
        assert secret is not None
        values = {name.name: account["login"], secret.name: account["password"]}
        return await self.post(form.action, dict(form.filled(values, form.buttons[0])))

    async def sign_in(self, to: str = "/consents", owner_id: str = "owner-7") -> Seen:
        return await self.follow(await self.begin_sign_in(to, owner_id))

    async def sign_in_again(self, to: str = "/consents") -> Seen:
        """The provider knows the person still, and asks for nothing."""
        return await self.follow(await self.get(f"/login?to={to}"))

    async def form(self, path: str, ending: str) -> Form:
        """The form on this page whose address ends so."""
        found = (await self.follow(await self.get(path))).page.form_to(ending)
        assert found is not None, path
        return found

    async def _send(self, method: str, path: str, fields: Mapping[str, str], body: bytes | None) -> Seen:
        url = urljoin(self.base, path)
        sent: dict[str, Any] = {"Accept-Language": self.language}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent |= {name.replace("_", "-"): value for name, value in fields.items()}
        async with self._session.request(
            method, url, data=body, headers=sent, ssl=self._context, allow_redirects=False
        ) as response:
            for cookie in response.cookies.values():
                if cookie["max-age"] == "0" or not cookie.value:
                    self.cookies.pop(cookie.key, None)
                else:
                    self.cookies[cookie.key] = cookie.value
            answer = Seen(url=url, status=response.status, headers=response.headers, body=await response.read())
        self.seen.append(answer)
        return answer


def filled(form: Form, **changes: str) -> dict[str, str]:
    """What the form would send, less what is changed to ""."""
    return {name: value for name, value in (dict(form.filled({}, None)) | changes).items() if value}
