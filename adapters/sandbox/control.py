"""The platform's control address: plain HTTP on this machine, for tests and newcomers. A real platform has none.

`GET/PUT /faults` (see `faults`) · `GET /journal?after=&limit=` · `POST /blocks` · `GET /healthz` · `GET /evidence/{id}`
`POST /sources/{issuerId}/documents`: the source issues a document: its bytes with `?documentType=&validUntil=`, or
JSON `{documentType, digests, validUntil?}` · `POST /evidence/{id}/revocation` and `/supersede` `{reason?}`
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from adapters.sandbox.evidence import Refused
from adapters.sandbox.platform import DvpPlatform
from adapters.sandbox.source import IssuingSource
from gateway.core.digest import digests_of
from gateway.core.model import EvidenceStatus
from gateway.ports import Clock
from gateway.profiles.dvp_v1.messages import digests_from
from gateway.profiles.validation import Validators

_DOCUMENT_BYTES_MAX = 100 * 1024 * 1024
_JOURNAL_PAGE = 1_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlApi:
    """`changed` is called after a registration or a change of status."""

    def __init__(
        self,
        platform: DvpPlatform,
        *,
        sources: Mapping[str, IssuingSource],
        validators: Validators,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._platform, self._sources = platform, sources
        self._validators, self._clock, self._changed = validators, clock, changed

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_DOCUMENT_BYTES_MAX, middlewares=[_refusals])
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/faults", self._get_faults),
                web.put("/faults", self._put_faults),
                web.get("/journal", self._journal),
                web.post("/blocks", self._make_block),
                web.post("/sources/{issuer}/documents", self._issue),
                web.get("/evidence/{id}", self._evidence),
                web.post("/evidence/{id}/revocation", self._revoke),
                web.post("/evidence/{id}/supersede", self._supersede),
            ]
        )
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok", "journal": self._platform.journal.sequence})

    async def _get_faults(self, _: web.Request) -> web.Response:
        return _json(self._platform.faults.body())

    async def _put_faults(self, request: web.Request) -> web.Response:
        self._platform.faults.set(orjson.loads(await request.read()))
        return _json(self._platform.faults.body())

    async def _journal(self, request: web.Request) -> web.Response:
        after, limit = int(request.query.get("after", "0")), int(request.query.get("limit", _JOURNAL_PAGE))
        return _json({"entries": self._platform.journal.after(after, limit=min(limit, _JOURNAL_PAGE))})

    async def _make_block(self, _: web.Request) -> web.Response:
        block = self._platform.book.make_block(now=self._now())
        if block is None:
            return _json({"block": None})
        return _json({"block": {"number": block.number, "transactions": len(block.transactions)}}, status=201)

    async def _issue(self, request: web.Request) -> web.Response:
        source = self._sources.get(request.match_info["issuer"])
        if source is None:
            raise Refused("NOT_REGISTERED")
        if request.content_type == "application/json":
            body = orjson.loads(await request.read())
            document_type, digests = body["documentType"], digests_from(body["digests"])
            valid_until = body.get("validUntil")
        else:
            document_type, digests = request.query["documentType"], digests_of(await request.read())
            valid_until = int(request.query["validUntil"]) if "validUntil" in request.query else None
        registration = source.registration(document_type=document_type, digests=digests, valid_until=valid_until)
        if not self._validators.is_valid("dvp/v1/evidence-registration", registration):
            raise ValueError("documentType, digests or validUntil is not as the schema wants it")
        known = self._platform.book.register(registration, now=self._now())
        self._changed()
        new = known.evidence_id == registration["evidenceId"]
        return _json(self._platform.receipt(known.evidence_id), status=201 if new else 200)

    async def _evidence(self, request: web.Request) -> web.Response:
        return _json(self._platform.receipt(request.match_info["id"]))

    async def _revoke(self, request: web.Request) -> web.Response:
        return await self._change_status(request, EvidenceStatus.REVOKED)

    async def _supersede(self, request: web.Request) -> web.Response:
        return await self._change_status(request, EvidenceStatus.SUPERSEDED)

    async def _change_status(self, request: web.Request, status: EvidenceStatus) -> web.Response:
        body = orjson.loads(await request.read() or b"{}")
        reason, evidence_id = body.get("reason", "OTHER"), request.match_info["id"]
        if not self._validators.is_valid("codelists/revocation-reason", reason):
            raise ValueError("reason must be a code of revocation-reason")
        self._platform.book.change_status(evidence_id, status, reason=reason, now=self._now())
        self._changed()
        return _json(self._platform.receipt(evidence_id))

    def _now(self) -> int:
        return int(self._clock.now())


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return _json({"error": str(refused)}, status=404 if str(refused) == "NOT_REGISTERED" else 409)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # A tool for people on this machine: what it was given may be named.
        return _json({"error": f"{type(error).__name__}: {error}"}, status=400)


def _json(body: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
