"""A visit of a data owner's browser: its session, its forms, its language, and the page for what went wrong.

Shared by all pages of the `consent` listener.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.authorization.owners import Owners
from gateway.core.model import Consent
from gateway.errors import GatewayError
from gateway.http.addresses import Addresses
from gateway.http.bodies import read_body, require_media_type
from gateway.http.boundary import INTERACTION, OUTCOME
from gateway.http.browser import STATUS, from_own_page, page, problem_of, see_other
from gateway.http.cookies import Cookies, Journey
from gateway.http.oauth import FORM, form_pairs
from gateway.oauth.grant import OwnerSession
from gateway.oauth.parameters import form
from gateway.oauth.refusal import OAuthRefusal
from gateway.pages.languages import Language, negotiate
from gateway.pages.pages import Pages
from gateway.pages.views import ConsentView, Frame, Problem
from gateway.ports import Clock

Handler = Callable[[web.Request], Awaitable[web.Response]]

CONSENTS, AUTH_CODE, INTERACTIONS = "/consents", "/auth-code", "/interactions"
_RETURNS = re.compile(rf"{CONSENTS}|{AUTH_CODE}|{INTERACTIONS}/[A-Za-z0-9_-]{{20,128}}")


class NotSignedIn(Exception):
    """The page is for those who are signed in."""


class FormStale(Exception):
    """The form is of another session, or of no page of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    owners: Owners
    pages: Pages
    cookies: Cookies
    addresses: Addresses
    strict_transport: bool  # browsers are told to come by TLS alone
    clock: Clock
    body_bytes_max: int
    body_timeout_seconds: float

    def shown(self, handler: Handler) -> Handler:
        """What every page has: a rate, an answer that people can read, the language that was chosen."""

        async def answer(request: web.Request) -> web.Response:
            try:
                await self.addresses.admit(request.remote)
                response = await handler(request)
            except NotSignedIn:
                to = request.path if returns_to(request.path) else CONSENTS
                response = page(self.pages.sign_in(self.frame(request, None), href=f"/login?to={to}"))
            except FormStale:
                response = self.problem(request, Problem.FORM_STALE)
            except OAuthRefusal:  # of a form's or a query's shape
                response = self.problem(request, Problem.BAD_REQUEST)
            except GatewayError as error:
                response = self.problem(request, problem_of(error), error=error)
            if self.strict_transport:
                response.headers["Strict-Transport-Security"] = "max-age=31536000"
            chosen = request.query.get("lang")
            if chosen is not None:
                self.cookies.remember_language(response, negotiate(chosen=chosen).value)
            return response

        return answer

    async def to_login(
        self, request: web.Request, to: str, *, fresh: bool = False, acr_values: tuple[str, ...] = ()
    ) -> web.Response:
        # Behind a sign-out, the provider's own session would bring the same person back, and let others in as them.
        fresh = fresh or self.cookies.signed_out(request)
        challenge = await self.owners.begin_sign_in(
            fresh=fresh, acr_values=acr_values, locale=self.language(request).value
        )
        response = see_other(challenge.url)
        self.cookies.begin_journey(response, Journey(secret=challenge.secret, to=to))
        return response

    async def session(self, request: web.Request) -> OwnerSession | None:
        return await self.owners.session(self.cookies.session(request))

    async def signed_in(self, request: web.Request) -> OwnerSession:
        session = await self.session(request)
        if session is None:
            raise NotSignedIn
        return session

    async def submitted(self, request: web.Request) -> tuple[OwnerSession, dict[str, str]]:
        """A form of this session's own page, and who sent it."""
        session = await self.signed_in(request)
        require_media_type(request, FORM)
        body = await read_body(request, bytes_max=self.body_bytes_max, timeout_seconds=self.body_timeout_seconds)
        given = form(form_pairs(body))
        if not from_own_page(request) or not self.owners.form_fits(session, given.get("csrf")):
            raise FormStale
        return session, given

    def language(self, request: web.Request, ui_locales: tuple[str, ...] = ()) -> Language:
        return negotiate(
            chosen=request.query.get("lang") or self.cookies.language(request),
            ui_locales=ui_locales,
            accept_language=request.headers.get("Accept-Language"),
        )

    def frame(
        self,
        request: web.Request,
        session: OwnerSession | None,
        *,
        ui_locales: tuple[str, ...] = (),
        again: bool = True,
    ) -> Frame:
        """`again`: the page can be asked for again, in another language."""
        return Frame(
            language=self.language(request, ui_locales),
            path=request.path_qs if again and request.method in {"GET", "HEAD"} else None,
            owner_name=session.name if session is not None else None,
            csrf=self.owners.form_token(session) if session is not None else None,
        )

    def consent_view(self, consent: Consent) -> ConsentView:
        place = f"{CONSENTS}/{consent.consent_id}"
        return ConsentView.of(
            consent,
            now=self.clock.now(),
            href=place,
            revoke_action=f"{place}/revocation",
            receipt_href=f"{place}/receipt",
        )

    def problem(
        self,
        request: web.Request,
        problem: Problem,
        *,
        session: OwnerSession | None = None,
        href: str | None = None,
        error: GatewayError | None = None,
    ) -> web.Response:
        request[OUTCOME] = error.code if error is not None else problem.value.upper()
        html = self.pages.problem(
            self.frame(request, session, again=False), problem, href=href, reference=request[INTERACTION]
        )
        response = page(html, status=STATUS[problem])
        if error is not None and error.retry_after_seconds is not None:
            response.headers["Retry-After"] = str(error.retry_after_seconds)
        return response


def query_of(request: web.Request) -> dict[str, str]:
    """Each parameter once, or OAuthRefusal (RFC 6749 §3.1)."""
    return form(request.query.items())


def returns_to(path: str) -> bool:
    """Whether a sign-in may come back to this path: never another host, never a page that is no page."""
    return _RETURNS.fullmatch(path) is not None
