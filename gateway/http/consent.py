"""The `consent` listener's way of an authorization: the bank sends a browser here, its owner signs in and decides.

Reads, calls one flow, shows a page; decides nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from gateway.authorization.interactions import Gone, Interactions, Leave, NotTheirs, SignIn, View
from gateway.errors import NotFound, SchemaInvalid
from gateway.http.boundary import INTERACTION, OUTCOME
from gateway.http.browser import page, see_other
from gateway.http.cookies import LOGIN, SESSION, SIGNED_OUT, Journey
from gateway.http.visits import CONSENTS, INTERACTIONS, Visits, query_of, returns_to
from gateway.oauth.grant import OwnerSession
from gateway.pages.views import Decision, DecisionForm, Problem
from gateway.ports import LoginRefused

ACR_REFUSED = "id_token_acr"  # a code of LoginRefused: the provider signed in as best it could
_HANDLE = re.compile(r"[A-Za-z0-9_-]{20,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPages:
    interactions: Interactions
    visits: Visits

    def routes(self) -> list[web.RouteDef]:
        shown = self.visits.shown
        return [
            web.get("/oauth/authorize", shown(self.authorize)),
            web.get(f"{INTERACTIONS}/{{handle}}", shown(self.interaction)),
            web.post(f"{INTERACTIONS}/{{handle}}", shown(self.decide)),
            web.get("/login", shown(self.login)),
            web.get("/login/callback", shown(self.callback)),
            web.post("/logout", shown(self.sign_out)),
            web.get("/signed-out", shown(self.signed_out)),
        ]

    # --- the way of an authorization -----------------------------------------------------------------------

    async def authorize(self, request: web.Request) -> web.Response:
        """RFC 9126 §4: the pushed request is all that counts; other parameters are not looked at."""
        query = query_of(request)
        handle = await self.interactions.arrive(query.get("client_id"), query.get("request_uri"))
        if handle is None:
            return self.visits.problem(request, Problem.REQUEST_GONE)
        return see_other(f"{INTERACTIONS}/{handle}")

    async def interaction(self, request: web.Request) -> web.Response:
        handle, session = _handle(request), await self.visits.session(request)
        return await self._view(request, handle, session, await self.interactions.view(handle, session))

    async def decide(self, request: web.Request) -> web.Response:
        handle = _handle(request)
        session, given = await self.visits.submitted(request)
        try:
            decision = Decision(given.get("decision", ""))
        except ValueError as error:
            raise SchemaInvalid() from error
        outcome = await self.interactions.decide(
            handle, session, approve=decision is Decision.APPROVE, interaction=request[INTERACTION]
        )
        return await self._view(request, handle, session, outcome)

    async def _view(self, request: web.Request, handle: str, session: OwnerSession | None, view: View) -> web.Response:
        if isinstance(view, Leave):
            return see_other(view.url)
        if isinstance(view, Gone):
            return self.visits.problem(request, Problem.REQUEST_GONE)
        place = f"{INTERACTIONS}/{handle}"
        if isinstance(view, SignIn) or session is None:
            if request.method == "POST":
                # The sign-in ran out while the owner read. The policy of a form forbids to send it on to the provider.
                return page(self.visits.pages.sign_in(self.visits.frame(request, None), href=place))
            fresh, acr_values = (view.fresh, view.acr_values) if isinstance(view, SignIn) else (False, ())
            return await self.visits.to_login(request, place, fresh=fresh, acr_values=acr_values)
        if isinstance(view, NotTheirs):
            return self.visits.problem(request, Problem.NOT_YOURS, session=session)
        frame = self.visits.frame(request, session, ui_locales=view.ui_locales)
        shown = self.visits.consent_view(view.consent)
        asked = DecisionForm(action=place, decide_by=view.decide_by)
        html = (self.visits.pages.already if view.approved else self.visits.pages.ask)(frame, shown, asked)
        return page(html, leads_to=(_origin(view.redirect_uri),))

    # --- signing in and out --------------------------------------------------------------------------------

    async def login(self, request: web.Request) -> web.Response:
        to = query_of(request).get("to", CONSENTS)
        if not returns_to(to):
            raise SchemaInvalid()
        return await self.visits.to_login(request, to)

    async def callback(self, request: web.Request) -> web.Response:
        journey = self.visits.cookies.journey(request)
        if journey is None:
            return self.visits.problem(request, Problem.LOGIN_FAILED, href=f"/login?to={CONSENTS}")
        try:
            session = await self.visits.owners.finish_sign_in(
                journey.secret, query_of(request), before=self.visits.cookies.session(request)
            )
        except LoginRefused as refused:
            response = await self._refused_login(request, journey, str(refused))
        else:
            response = see_other(journey.to)
            self.visits.cookies.begin_session(response, session)
            if self.visits.cookies.signed_out(request):
                self.visits.cookies.forget(response, SIGNED_OUT)
        self.visits.cookies.forget(response, LOGIN)
        return response

    async def _refused_login(self, request: web.Request, journey: Journey, code: str) -> web.Response:
        request[OUTCOME] = "LOGIN_REFUSED"
        if code == ACR_REFUSED and journey.to.startswith(f"{INTERACTIONS}/"):
            handle = journey.to.removeprefix(f"{INTERACTIONS}/")
            view = await self.interactions.unmet(handle)
            return await self._view(request, handle, None, view)
        return self.visits.problem(request, Problem.LOGIN_FAILED, href=f"/login?to={journey.to}")

    async def sign_out(self, request: web.Request) -> web.Response:
        await self.visits.submitted(request)
        await self.visits.owners.sign_out(self.visits.cookies.session(request))
        response = see_other("/signed-out")
        self.visits.cookies.forget(response, SESSION)
        self.visits.cookies.remember_sign_out(response)
        return response

    async def signed_out(self, request: web.Request) -> web.Response:
        return page(self.visits.pages.signed_out(self.visits.frame(request, None), href=f"/login?to={CONSENTS}"))


def _handle(request: web.Request) -> str:
    handle = request.match_info["handle"]
    if _HANDLE.fullmatch(handle) is None:
        raise NotFound()
    return handle


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
