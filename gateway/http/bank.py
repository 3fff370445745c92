"""The `bank` listener: `schemas/openapi/bank-v1.yaml` for banks. Reads, calls one flow, renders; decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.audit.proof import MEDIA_TYPE as PROOF
from gateway.core.consent import DataRequest
from gateway.core.digest import Hasher
from gateway.core.lifecycle import OPEN_EXCHANGE
from gateway.core.model import ConsentStatus, Exchange, ExchangeStatus, Role
from gateway.errors import ConsentExpired, ConsentRevoked, GatewayError, NotFound
from gateway.exchange.admission import Admission, Arrival, Caller, rate_fields
from gateway.exchange.consents import Consents
from gateway.exchange.data_requests import DataRequests
from gateway.exchange.idempotency import idempotency
from gateway.exchange.notices import Notices
from gateway.exchange.proofs import Pending, Proofs
from gateway.exchange.statements import Signatory
from gateway.exchange.step_up import StepUp
from gateway.exchange.verification import Verifications
from gateway.http import fields
from gateway.http.bodies import JSON, OCTETS, chunks, read_body, require_media_type
from gateway.http.boundary import INTERACTION, RESPONSE_FIELDS, TRACE, route_template
from gateway.oauth import scopes
from gateway.profiles.cdi_v1 import CdiV1
from gateway.tls import peer_certificate

_CONSENTS, _DATA_REQUESTS = "/cdi/v1/consents", "/cdi/v1/data-requests"
_READ = (scopes.DATA_REQUESTS, scopes.DATA_REQUESTS_READ)
_BATCH_TOGETHER = 64
_PROOF_RETRY_SECONDS = "1"  # within it a checkpoint covers what is recorded now

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BankLimits:
    """Sizes in bytes, times in seconds; see settings.Limits."""

    body_bytes_max: int
    body_timeout_seconds: float
    batch_items_max: int
    batch_bytes_max: int
    digest_bytes_max: int
    wait_seconds_max: float
    page_items_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BankApi:
    admission: Admission
    consents: Consents
    verifications: Verifications
    data_requests: DataRequests
    proofs: Proofs
    notices: Notices
    signatory: Signatory
    step_up: StepUp
    codec: CdiV1
    limits: BankLimits
    public_url: str
    idempotency_secret: bytes

    def routes(self) -> list[web.RouteDef]:
        consents, requests = _CONSENTS, _DATA_REQUESTS
        return [
            web.post(consents, self.submit_consent),
            web.get(consents, self.list_consents),
            web.get(consents + "/{consentId}", self.read_consent),
            web.post(consents + "/{consentId}/revocation", self.revoke_consent),
            web.post(requests, self.ask),
            web.get(requests, self.list_data_requests),
            web.post(requests + "/batch", self.ask_batch),
            web.get(requests + "/{dataRequestId}", self.read_data_request),
            web.get(requests + "/{dataRequestId}/files/{name}", self.file),
            web.get(requests + "/{dataRequestId}/proof", self.proof),
            web.post(requests + "/{dataRequestId}/reception", self.receive),
            web.post(requests + "/{dataRequestId}/cancellation", self.cancel),
            web.post("/cdi/v1/digests", self.digests),
            web.get("/cdi/v1/notices", self.list_notices),
        ]

    # --- consents ------------------------------------------------------------------------------------------

    async def submit_consent(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, scopes.CONSENTS)
        key = fields.idempotency_key(request.headers)
        body = await self._json(request, caller)
        submission = self.codec.parse_consent_request(body)
        consent, secret = await self.consents.submit(
            caller,
            submission,
            idempotency(self.idempotency_secret, caller.participant.participant_id, "consents", key, body),
        )
        return _json(
            self.codec.render_consent(consent, secret),
            status=201,
            headers={"Location": f"{self.public_url}{_CONSENTS}/{consent.consent_id}"},
        )

    async def list_consents(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, scopes.CONSENTS)
        query = fields.Query(request.query, "status", "after", "limit")
        limit = self._limit(query)
        found = await self.consents.page(
            caller, status=query.one_of("status", ConsentStatus), after=query.uuid("after"), limit=limit + 1
        )
        page = list(found[:limit])
        return _json(self.codec.render_consents(page, page[-1].consent_id if len(found) > limit else None))

    async def read_consent(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, scopes.CONSENTS, scopes.DATA_REQUESTS)
        return _json(self.codec.render_consent(await self.consents.read(caller, _id(request, "consentId"))))

    async def revoke_consent(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, scopes.CONSENTS, roles=(Role.BANK, Role.SOURCE))
        reason = self.codec.parse_revocation(await self._json(request, caller))
        return _json(self.codec.render_consent(await self.consents.revoke(caller, _id(request, "consentId"), reason)))

    # --- data requests -------------------------------------------------------------------------------------

    async def ask(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, scopes.DATA_REQUESTS)
        key = fields.idempotency_key(request.headers)
        preferences = fields.preferences(request.headers, self.limits.wait_seconds_max)
        body = await self._json(request, caller)
        until = _now() + preferences.wait_seconds
        exchange = await self.verifications.ask(
            caller,
            self._recent(caller, self.codec.parse_data_request(body)),
            idempotency(self.idempotency_secret, caller.participant.participant_id, "data-requests", key, body),
            wait_seconds=preferences.wait_seconds,
        )
        pending, fields_applied = await self._settled(exchange, preferences, until)
        await self._waited(caller, preferences.wait_seconds, delivered=True)
        return _json(
            self.codec.render_exchange(exchange),
            status=202 if pending else 200,
            headers=self._location(exchange) | fields_applied,
        )

    async def ask_batch(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, scopes.DATA_REQUESTS)
        key = fields.idempotency_key(request.headers)
        preferences = fields.preferences(request.headers, self.limits.wait_seconds_max)
        body = await self._json(request, caller, self.limits.batch_bytes_max)
        items = self.codec.parse_batch(body, items_max=self.limits.batch_items_max)
        together = asyncio.Semaphore(_BATCH_TOGETHER)
        # One wait for the whole batch: who comes last in it has waited for the others already.
        until = _now() + preferences.wait_seconds

        async def one(index: int, item: DataRequest | GatewayError) -> Exchange | GatewayError:
            if isinstance(item, GatewayError):
                return item
            identity = idempotency(
                self.idempotency_secret, caller.participant.participant_id, f"batch {index}", key, body
            )
            try:
                async with together:
                    left = max(until - _now(), 0.0)
                    asked = self._recent(caller, item)
                    return await self.verifications.ask(caller, asked, identity, wait_seconds=left, patient=True)
            except GatewayError as refused:
                return refused

        results = await asyncio.gather(*(one(index, item) for index, item in enumerate(items)))
        await self._waited(caller, preferences.wait_seconds, delivered=True)
        return _json(self.codec.render_batch(results, request[INTERACTION]), headers=preferences.applied(covered=False))

    async def list_data_requests(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, *_READ)
        query = fields.Query(request.query, "status", "after", "limit")
        limit = self._limit(query)
        found = await self.data_requests.page(
            caller, status=query.one_of("status", ExchangeStatus), after=query.uuid("after"), limit=limit + 1
        )
        page = list(found[:limit])
        return _json(self.codec.render_exchanges(page, page[-1].exchange_id if len(found) > limit else None))

    async def read_data_request(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, *_READ)
        preferences = fields.preferences(request.headers, self.limits.wait_seconds_max)
        until = _now() + preferences.wait_seconds
        exchange = await self.data_requests.read(
            caller, _id(request, "dataRequestId"), wait_seconds=preferences.wait_seconds
        )
        pending, headers = await self._settled(exchange, preferences, until)
        await self._waited(caller, preferences.wait_seconds)
        if pending and preferences.covered:
            return _json(self.codec.render_exchange(exchange), status=202, headers=self._location(exchange) | headers)
        return _json(self.codec.render_exchange(exchange), headers=headers)

    async def proof(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, *_READ)
        preferences = fields.preferences(request.headers, self.limits.wait_seconds_max)
        found = await self.proofs.of(caller, _id(request, "dataRequestId"), wait_seconds=preferences.wait_seconds)
        await self._waited(caller, preferences.wait_seconds)
        headers = preferences.applied(covered=False)
        if isinstance(found, Pending):
            body = self.codec.render_proof_pending(found.exchange, found.logged, found.covered)
            headers |= self._location(found.exchange, "/proof") | {"Retry-After": _PROOF_RETRY_SECONDS}
            return _json(body, status=202, headers=headers)
        return web.Response(body=found.encode(), headers={"Content-Type": PROOF} | headers)

    async def file(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, *_READ)
        report = await self.data_requests.file(caller, _id(request, "dataRequestId"), request.match_info["name"])
        return web.Response(body=report.jws.encode(), content_type="application/jose")

    async def receive(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, *_READ)
        file_hash, response_id = self.codec.parse_reception(await self._json(request, caller))
        exchange = await self.data_requests.receive(
            caller, _id(request, "dataRequestId"), file_hash=file_hash, response_id=response_id
        )
        return _json(self.codec.render_exchange(exchange))

    async def cancel(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, *_READ)
        if request.body_exists:
            self.codec.parse_cancellation(await self._json(request, caller))
        return _json(self.codec.render_exchange(await self.data_requests.cancel(caller, _id(request, "dataRequestId"))))

    # --- digests, notices ----------------------------------------------------------------------------------

    async def digests(self, request: web.Request) -> web.Response:
        await self._caller(request, scopes.CONSENTS, *_READ)
        require_media_type(request, OCTETS)
        hasher = Hasher()
        async for chunk in chunks(
            request,
            bytes_max=self.limits.digest_bytes_max,
            timeout_seconds=self.limits.body_timeout_seconds,
        ):
            hasher.update(chunk)
        return _json(self.codec.render_digests(hasher.size, hasher.digests()))

    async def list_notices(self, request: web.Request) -> web.Response:
        caller = await self._caller(request, scopes.NOTICES)
        query = fields.Query(request.query, "after", "wait", "limit")
        after = query.number("after", 0, least=0, most=2**53 - 1)
        wait = query.number("wait", 0, least=0, most=86_400)
        found = await self.notices.since(
            caller,
            after=after,
            limit=self._limit(query),
            wait_seconds=min(float(wait), self.limits.wait_seconds_max),
        )
        await self._waited(caller, wait)
        now = self.notices.now()
        told = [(notice, self.signatory.event(notice, now)) for notice in found]
        return _json(self.codec.render_notices(told, found[-1].sequence if found else after))

    def _recent(self, caller: Caller, request: DataRequest) -> DataRequest:
        self.step_up.require(caller.token, request.scope.document_type, now=caller.now)
        return request

    # --- shared --------------------------------------------------------------------------------------------

    async def _settled(
        self, exchange: Exchange, preferences: fields.Preferences, until: float
    ) -> tuple[bool, dict[str, str]]:
        """Whether what is preferred is still to come, and the field that says which preferences were honoured."""
        if exchange.status in OPEN_EXCHANGE:
            return True, preferences.applied(covered=False)
        if not preferences.covered:
            return False, preferences.applied(covered=False)
        covered = await self.proofs.covered(exchange, max(until - _now(), 0.0))
        return not covered, preferences.applied(covered=covered and exchange.receipt is not None)

    async def _waited(self, caller: Caller, seconds: float, *, delivered: bool = False) -> None:
        """Who waited gets nothing on a token that was revoked meanwhile. `delivered`: the consent was checked with the
        delivery, which counted a use; that it ended since takes no answer back."""
        if seconds > 0:
            with contextlib.suppress(*((ConsentRevoked, ConsentExpired) if delivered else ())):
                await self.admission.still_good(caller)

    def _location(self, exchange: Exchange, below: str = "") -> dict[str, str]:
        return {"Location": f"{self.public_url}{_DATA_REQUESTS}/{exchange.exchange_id}{below}"}

    async def _caller(self, request: web.Request, *any_scope: str, roles: tuple[Role, ...] = (Role.BANK,)) -> Caller:
        """Everything that is checked before the body is read."""
        arrival = Arrival(
            certificate=peer_certificate(request.transport),
            route=f"{request.method} {route_template(request)}",
            interaction=request[INTERACTION],
            trace=request[TRACE],
        )
        admitted = await self.admission.admit(arrival, *roles)
        request[RESPONSE_FIELDS] = rate_fields(admitted.allowances)
        credentials = fields.credentials(
            request.headers, method=request.method, url=self.public_url + request.rel_url.raw_path
        )
        return await self.admission.authorise(admitted, credentials, *any_scope)

    async def _json(self, request: web.Request, caller: Caller, bytes_max: int | None = None) -> bytes:
        require_media_type(request, JSON)
        body = await read_body(
            request,
            bytes_max=bytes_max or self.limits.body_bytes_max,
            timeout_seconds=self.limits.body_timeout_seconds,
        )
        # It may have come slowly, and the token may have been revoked meanwhile.
        await self.admission.still_good(caller)
        return body

    def _limit(self, query: fields.Query) -> int:
        most = self.limits.page_items_max
        return query.number("limit", min(50, most), least=1, most=most)


def _id(request: web.Request, name: str) -> str:
    """The id in the path; what is no UUID does not exist."""
    found = fields.as_uuid(request.match_info[name])
    if found is None:
        raise NotFound()
    return found


def _now() -> float:
    return asyncio.get_running_loop().time()


def _json(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type=JSON)
