"""The listeners over the flows: banks, platform, operations, the published log. Each with routes, TLS and limits."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.app.authorization import resource_metadata
from gateway.app.flows import Flows
from gateway.app.identities import self_signed
from gateway.app.parts import Parts
from gateway.http.bank import BankApi, BankLimits
from gateway.http.boundary import Boundary, InFlight
from gateway.http.log import PublishedLog
from gateway.http.oauth import BackChannel, GrantManagement, ResourceMetadata
from gateway.http.ops import ops_application
from gateway.http.partner import PartnerApi, Peer
from gateway.http.server import ConnectionLimits, ListenerServer
from gateway.profiles.dvp_v1.signature import key_set
from gateway.settings import Listener
from gateway.tls import server_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    bank: ListenerServer
    consent: ListenerServer | None
    partner: ListenerServer
    ops: ListenerServer
    log: ListenerServer | None

    @property
    def all(self) -> tuple[ListenerServer, ...]:
        optional = tuple(one for one in (self.consent, self.log) if one is not None)
        return self.bank, self.partner, self.ops, *optional


def build_listeners(
    parts: Parts, flows: Flows, *, started: Callable[[], bool], serving: Callable[[], bool]
) -> Listeners:
    """Not listening yet. `started` and `serving` are what the probes are told. Raises TlsMaterialError."""
    settings = parts.settings
    in_flight = InFlight(settings.limits.in_flight_max)
    ops = ops_application(
        parts.metrics,
        live={"process": lambda: True},
        ready={"serving": serving, "audit": parts.audit.healthy, "store": parts.store.healthy},
        started={"started": started},
    )
    consent = settings.consent
    parts.metrics.set_certificates(
        {"bank": settings.bank.certificate_file, "partner": settings.partner.certificate_file}
        | ({"consent": consent.certificate_file} if consent is not None else {})
        | {platform.id: platform.certificate_file for platform in settings.platforms}
    )
    return Listeners(
        bank=_listener(
            parts,
            "bank",
            _application(parts, _bank(parts, flows), in_flight),
            server_context(settings.bank, self_signed=self_signed(parts.participants)),
        ),
        consent=_consent(parts, flows),
        partner=_listener(
            parts, "partner", _application(parts, _partner(parts, flows), in_flight), server_context(settings.partner)
        ),
        ops=_listener(parts, "ops", ops, None),
        log=_log(parts),
    )


def _log(parts: Parts) -> ListenerServer | None:
    http = parts.settings.audit.publish.http
    if http is None:
        return None
    # Bounds of its own: whoever mirrors the log takes no bank's place.
    routes = PublishedLog(parts.trail.files, in_thread=parts.trail.reading).routes()
    return _listener(parts, "log", _application(parts, routes, InFlight(http.requests_max)), None, http)


def _consent(parts: Parts, flows: Flows) -> ListenerServer | None:
    settings, embedded = parts.settings.consent, flows.embedded
    if settings is None or embedded is None:
        return None
    back_channel = BackChannel(
        embedded.back_channel, base_url=embedded.back_channel.issuer, addresses=embedded.addresses
    )
    routes = [
        *back_channel.routes(),
        *back_channel.discovery(),
        *embedded.consent.routes(),
        *embedded.owner.routes(),
    ]
    # Bounds of its own: whoever comes from outside takes no bank's place.
    in_flight = InFlight(parts.settings.limits.in_flight_max)
    return _listener(parts, "consent", _application(parts, routes, in_flight), server_context(settings), settings)


def _bank(parts: Parts, flows: Flows) -> list[web.RouteDef]:
    public_url, embedded = parts.settings.deployment.public_url, flows.embedded
    resource = web.get("/.well-known/oauth-protected-resource", ResourceMetadata(resource_metadata(parts.settings)).get)
    routes = [resource, *_bank_api(parts, flows)]
    if embedded is not None:
        back_channel = BackChannel(embedded.back_channel, base_url=public_url)
        management = GrantManagement(admission=flows.admission, grants=embedded.grants, public_url=public_url)
        routes += [*back_channel.routes(), *management.routes()]
    return routes


def _bank_api(parts: Parts, flows: Flows) -> list[web.RouteDef]:
    limits = parts.settings.limits
    return BankApi(
        admission=flows.admission,
        consents=flows.consents,
        verifications=flows.verifications,
        data_requests=flows.data_requests,
        proofs=flows.proofs,
        notices=flows.notices,
        signatory=flows.signatory,
        step_up=flows.step_up,
        codec=flows.codec,
        limits=BankLimits(
            body_bytes_max=limits.body_bytes_max,
            body_timeout_seconds=limits.body_timeout_seconds,
            batch_items_max=limits.batch_items_max,
            batch_bytes_max=limits.batch_bytes_max,
            digest_bytes_max=limits.digest_bytes_max,
            wait_seconds_max=limits.wait_seconds_max,
            page_items_max=limits.page_items_max,
        ),
        public_url=parts.settings.deployment.public_url,
        idempotency_secret=flows.idempotency_secret,
    ).routes()


def _partner(parts: Parts, flows: Flows) -> list[web.RouteDef]:
    settings = parts.settings
    return PartnerApi(
        admission=flows.admission,
        inbound=flows.inbound,
        validators=parts.validators,
        clock=parts.clock,
        own_id=settings.deployment.participant_id,
        peers={
            item.id: Peer(keys=key_set(item.jwks_file.read_bytes()), signer=parts.signers[item.id])
            for item in settings.platforms
        },
        body_bytes_max=settings.limits.body_bytes_max,
        body_timeout_seconds=settings.limits.body_timeout_seconds,
        refused=lambda reason: parts.log.event("inbound.refused", level="warning", reason=reason),
    ).routes()


def _application(parts: Parts, routes: list[web.RouteDef], in_flight: InFlight) -> web.Application:
    boundary = Boundary(in_flight=in_flight, metrics=parts.metrics, log=parts.log, clock=parts.clock)
    application = web.Application(middlewares=[boundary])
    application.add_routes(routes)
    return application


def _listener(
    parts: Parts,
    name: str,
    application: web.Application,
    context: ssl.SSLContext | None,
    listener: Listener | None = None,
) -> ListenerServer:
    listener = listener or getattr(parts.settings, name)
    return ListenerServer(
        name,
        application,
        listener,
        context,
        ConnectionLimits.of(listener, parts.settings.limits),
        metrics=parts.metrics,
        log=parts.log,
    )
