"""A data owner's own pages on the `consent` listener: their consents, revocation, receipts, Auth Codes.

Reads, calls one flow, shows a page; decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.authorization.owners import PAGE_ITEMS
from gateway.core.model import Consent
from gateway.errors import AuthenticationTooOld, NotFound, SchemaInvalid, StateConflict
from gateway.http import fields
from gateway.http.boundary import INTERACTION
from gateway.http.browser import dress, page, see_other
from gateway.http.visits import AUTH_CODE, CONSENTS, Visits, query_of
from gateway.oauth.grant import OwnerSession
from gateway.pages.stylesheet import MEDIA_TYPE as CSS
from gateway.pages.views import AuthCodeView, RevocationChoice, SourceView

_IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerPages:
    visits: Visits

    def routes(self) -> list[web.RouteDef]:
        shown = self.visits.shown
        return [
            web.get("/", shown(self.start)),
            web.get(CONSENTS, shown(self.consents)),
            web.get(f"{CONSENTS}/{{consentId}}", shown(self.consent)),
            web.get(f"{CONSENTS}/{{consentId}}/receipt", shown(self.receipt)),
            web.post(f"{CONSENTS}/{{consentId}}/revocation", shown(self.revoke)),
            web.get(AUTH_CODE, shown(self.auth_code_form)),
            web.post(AUTH_CODE, shown(self.new_auth_code)),
            web.get(self.visits.pages.stylesheet.path, shown(self.stylesheet)),
        ]

    async def start(self, _: web.Request) -> web.Response:
        return see_other(CONSENTS)

    # --- an owner's consents -------------------------------------------------------------------------------

    async def consents(self, request: web.Request) -> web.Response:
        session = await self.visits.signed_in(request)
        after = fields.as_uuid(query_of(request).get("after", ""))
        found = await self.visits.owners.consents(session, after=after)
        listed = found[:PAGE_ITEMS]
        more = f"{CONSENTS}?after={listed[-1].consent_id}" if len(found) > PAGE_ITEMS else None
        html = self.visits.pages.consents(
            self.visits.frame(request, session),
            [self.visits.consent_view(one) for one in listed],
            next_href=more,
            newest_href=CONSENTS if after is not None else None,
        )
        return page(html)

    async def consent(self, request: web.Request) -> web.Response:
        session = await self.visits.signed_in(request)
        consent = await self.visits.owners.consent(session, _consent_id(request))
        return self._one_consent(request, session, consent)

    async def revoke(self, request: web.Request) -> web.Response:
        consent_id = _consent_id(request)
        session, given = await self.visits.submitted(request)
        try:
            reason = RevocationChoice(given.get("reason", RevocationChoice.OTHER.value))
        except ValueError as error:
            raise SchemaInvalid() from error
        try:
            await self.visits.owners.revoke(session, consent_id, reason.value, interaction=request[INTERACTION])
        except StateConflict:
            # Sent twice, or ended meanwhile: the page says how it stands.
            return see_other(f"{CONSENTS}/{consent_id}")
        return see_other(f"{CONSENTS}/{consent_id}?revoked=1")

    async def receipt(self, request: web.Request) -> web.Response:
        session = await self.visits.signed_in(request)
        consent_id = _consent_id(request)
        receipt = await self.visits.owners.receipt(session, consent_id)
        disposition = f'attachment; filename="consent-receipt-{consent_id}.jws"'
        response = web.Response(
            body=receipt.encode(), content_type="application/jose", headers={"Content-Disposition": disposition}
        )
        dress(response)
        return response

    def _one_consent(self, request: web.Request, session: OwnerSession, consent: Consent) -> web.Response:
        frame = self.visits.frame(request, session)
        revoked = query_of(request).get("revoked") == "1"
        return page(self.visits.pages.consent(frame, self.visits.consent_view(consent), revoked=revoked))

    # --- Auth Codes ----------------------------------------------------------------------------------------

    async def auth_code_form(self, request: web.Request) -> web.Response:
        session = await self.visits.signed_in(request)
        if not self.visits.owners.recently_signed_in(session):  # a code is an approval too
            return await self.visits.to_login(request, AUTH_CODE, fresh=True)
        return page(self._auth_code_form(request, session, not_chosen=False))

    async def new_auth_code(self, request: web.Request) -> web.Response:
        session, given = await self.visits.submitted(request)
        source_id, _, document_type = given.get("choice", "").partition("/")
        try:
            made = await self.visits.owners.new_auth_code(
                session, source_id, document_type, interaction=request[INTERACTION]
            )
        except AuthenticationTooOld:
            return page(self.visits.pages.sign_in(self.visits.frame(request, None), href=AUTH_CODE))
        except SchemaInvalid:
            return page(self._auth_code_form(request, session, not_chosen=True), status=400)
        view = AuthCodeView(
            code=made.code,
            provider_name=made.source.name,
            document_type=made.document_type,
            expires_at=made.expires_at,
        )
        return page(self.visits.pages.auth_code(self.visits.frame(request, session, again=False), view))

    def _auth_code_form(self, request: web.Request, session: OwnerSession, *, not_chosen: bool) -> str:
        sources = [
            SourceView(source_id=one.participant_id, name=one.name, document_types=one.document_types)
            for one in self.visits.owners.sources()
        ]
        frame = self.visits.frame(request, session, again=not not_chosen)
        return self.visits.pages.auth_code_form(frame, sources, action=AUTH_CODE, not_chosen=not_chosen)

    async def stylesheet(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self.visits.pages.stylesheet.body,
            content_type=CSS,
            charset="utf-8",
            headers={"Cache-Control": _IMMUTABLE},
        )


def _consent_id(request: web.Request) -> str:
    found = fields.as_uuid(request.match_info["consentId"])
    if found is None:
        raise NotFound()
    return found
