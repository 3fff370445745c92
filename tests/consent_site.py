"""The `consent` listener's routes over real flows and a real database, served on a socket; and who comes there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

import aiohttp
import orjson
from multidict import CIMultiDictProxy

from adapters.limits.memory import MemoryRateLimits
from adapters.sandbox.page import Form, Page, read
from gateway.authorization.authentication import ClientAuthentication
from gateway.authorization.handles import kept
from gateway.core.model import Rate
from gateway.http.addresses import Addresses
from gateway.http.consent import ConsentPages
from gateway.http.cookies import SESSION, Cookies
from gateway.http.oauth import BackChannel, OAuthFlows
from gateway.http.owner import OwnerPages
from gateway.http.visits import Visits
from gateway.oauth import metadata
from tests import owner_pages
from tests.authorization_parts import OWNER
from tests.fakes import FakeSealer
from tests.fakes_authorization import RESOURCE, Server, open_server
from tests.fakes_edge import Edge, serving
from tests.oauth_clients import ISSUER
from tests.samples import unique

BODY_BYTES_MAX = 4_096
PLENTY = Rate(per_second=1_000, burst=1_000)
HOST = "consent.gateway.example"
JWKS = b'{"keys":[]}'
_FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class Site:
    """`address`: of its socket. `cookies`: how it seals them."""

    server: Server
    edge: Edge
    address: str
    cookies: Cookies

    def outcomes(self) -> list[str]:
        """Of all requests, by the log, oldest first."""
        return [line["outcome"] for line in self.edge.events() if line["event"] == "request.done"]


@asynccontextmanager
async def consent_site(
    folder: Path,
    *,
    rate: Rate = PLENTY,
    participant_rate: Rate = PLENTY,
    body_timeout_seconds: float = 5,
    strict_transport: bool = True,
) -> AsyncIterator[Site]:
    """`rate`: by address. `participant_rate`: of clients that have proved themselves."""
    async with open_server(folder) as server:
        addresses = Addresses(MemoryRateLimits(server.clock, keys_max=100), rate)
        cookies = Cookies(FakeSealer())
        visits = Visits(
            owners=server.owners,
            pages=owner_pages.pages(),
            cookies=cookies,
            addresses=addresses,
            strict_transport=strict_transport,
            clock=server.clock,
            body_bytes_max=BODY_BYTES_MAX,
            body_timeout_seconds=body_timeout_seconds,
        )
        flows = oauth_flows(server, participant_rate=participant_rate, body_timeout_seconds=body_timeout_seconds)
        back_channel = BackChannel(flows, base_url=ISSUER, addresses=addresses)
        routes = [
            *back_channel.routes(),
            *back_channel.discovery(),
            *ConsentPages(interactions=server.interactions, visits=visits).routes(),
            *OwnerPages(visits=visits).routes(),
        ]
        async with serving(*routes) as edge:
            yield Site(server, edge, f"http://127.0.0.1:{edge.server.port}", cookies)


def oauth_flows(server: Server, *, participant_rate: Rate = PLENTY, body_timeout_seconds: float = 5) -> OAuthFlows:
    """The back channel's flows, without the narrow rates of `server`'s own tests."""
    described = metadata.server_metadata(
        issuer=ISSUER, mtls_base=RESOURCE, scopes=("cdi:consents",), refresh_tokens=True
    )
    return OAuthFlows(
        authentication=ClientAuthentication(
            issuer=ISSUER,
            roster=server.world.roster,
            limits=MemoryRateLimits(server.clock, keys_max=100),
            participant_rate=participant_rate,
            replays=server.state,
            refusals=server.world.refusals,
            clock=server.clock,
        ),
        pushing=server.pushing,
        tokens=server.endpoint,
        grants=server.grants,
        possession=server.world.possession,
        audit=server.audit,
        signer=server.signer,
        issuer=ISSUER,
        jwks=JWKS,
        server_metadata=orjson.dumps(described),
        body_bytes_max=BODY_BYTES_MAX,
        body_timeout_seconds=body_timeout_seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An answer as it came. `cookies`: those it sets, by name, with their attributes as one text."""

    url: str
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def location(self) -> str:
        return self.headers["Location"]

    @property
    def cookies(self) -> dict[str, str]:
        return {field.partition("=")[0]: field.partition("=")[2] for field in self.headers.getall("Set-Cookie", [])}

    @property
    def page(self) -> Page:
        return read(self.body.decode(), url=self.url, status=self.status, headers=dict(self.headers))

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(slots=True)
class Guest:
    """Somebody's browser, or a client, that keeps cookies and follows no redirect. Use as an async context manager."""

    site: Site
    fields: dict[str, str] = field(default_factory=dict)  # sent with everything
    cookies: dict[str, str] = field(default_factory=dict)
    _session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Guest:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def sign_in(self, owner: str = OWNER, **changes: Any) -> None:
        """By a session that is there already."""
        secret = unique("secret")
        await self.site.server.state.open_session(self.site.server.session(owner, session_hash=kept(secret), **changes))
        self.cookies[SESSION] = secret

    async def get(self, path: str, *, method: str = "GET", **fields: str) -> Seen:
        return await self.send(method, path, None, fields)

    async def post(
        self, path: str, form: Mapping[str, str] | list[tuple[str, str]] | bytes | None = None, **fields: str
    ) -> Seen:
        """`fields`: of the header, with `_` for `-`."""
        body = form if isinstance(form, bytes) else urlencode(form or {}).encode()
        return await self.send("POST", path, body, {"Content_Type": _FORM} | fields)

    async def form(self, path: str, ending: str) -> Form:
        """The form on this page whose address ends so."""
        found = (await self.get(path)).page.form_to(ending)
        assert found is not None, path
        return found

    async def send(self, method: str, path: str, body: bytes | None, fields: Mapping[str, str]) -> Seen:
        sent = {"Host": HOST} | self.fields
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent |= {name.replace("_", "-"): value for name, value in fields.items()}
        url = urljoin(self.site.address, path)
        async with self._session.request(method, url, data=body, headers=sent, allow_redirects=False) as response:
            for cookie in response.cookies.values():
                if cookie["max-age"] == "0" or not cookie.value:
                    self.cookies.pop(cookie.key, None)
                else:
                    self.cookies[cookie.key] = cookie.value
            return Seen(url=url, status=response.status, headers=response.headers, body=await response.read())


def filled(form: Form, **changes: str) -> dict[str, str]:
    """What the form would send, less what is changed to ""."""
    return {name: value for name, value in (dict(form.filled({}, None)) | changes).items() if value}
