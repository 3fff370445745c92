"""The life of the process: start, serve, reload, drain. Each part is named once, in the order in which it is built."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import ssl
import sys
import uuid
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import uvloop
from adapters.platforms.breaker import Breaker
from adapters.platforms.dvp_http import DvpHttpPlatform
from aiohttp import web

import schemas
from adapters.clock import SystemClock
from adapters.issuers.jwks import Discovery, IssuerKeys, KeyFile
from adapters.issuers.verifier import JwtVerifier, TrustedIssuer
from adapters.keys.file import AesGcmSealer, FileSigner, read_secret
from adapters.limits.memory import MemoryRateLimits, MemoryReplays
from adapters.sql import migrations
from adapters.sql.audit import AuditLogDamaged, open_audit_log
from adapters.sql.store import open_store
from gateway.app.identities import published_codes, view
from gateway.audit.record import Origin
from gateway.errors import GatewayError
from gateway.exchange.admission import Admission, Refusals
from gateway.exchange.consents import Consents
from gateway.exchange.data_requests import DataRequests
from gateway.exchange.inbound import Inbound
from gateway.exchange.notices import Notices
from gateway.exchange.pace import Pace
from gateway.exchange.recording import Recorder, record
from gateway.exchange.roster import Roster
from gateway.exchange.verification import Verifications
from gateway.exchange.worker import Worker
from gateway.http.bank import BankApi, BankLimits
from gateway.http.boundary import Boundary, InFlight
from gateway.http.ops import ops_application
from gateway.http.partner import PartnerApi, Peer
from gateway.http.server import ConnectionLimits, ListenerServer
from gateway.observe import logs
from gateway.observe.audit import ObservedAuditLog
from gateway.observe.metrics import Metrics
from gateway.observe.verifications import Observed
from gateway.ports import AuditLog, Clock, Signer, Store
from gateway.profiles.cdi_v1 import CdiV1
from gateway.profiles.dvp_v1.signature import key_set
from gateway.profiles.validation import Validators
from gateway.settings import Issuer, Participants, PlatformSettings, Settings, config_hash, load, load_participants
from gateway.tls import TlsMaterialError, client_context, server_context

REPLAY_IDS_MAX = 1_000_000
WATCH_SECONDS = 1.0


class StartRefused(Exception):
    """The gateway cannot start; the text says what to do."""


def serve(config: Path) -> int:
    """Run the gateway until SIGTERM or SIGINT; the exit code. Raises SettingsError and StartRefused before it serves.

    1 when the audit log could not be written any more: what runs next recovers from what is durable.
    """
    settings, participants = load(config, codes=published_codes())
    log = logs.configure(settings.log.level, sys.stdout.buffer)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(Service(settings, participants, log).run())
        except (AuditLogDamaged, TlsMaterialError, migrations.SchemaOutdated, ValueError, OSError) as error:
            raise StartRefused(str(error)) from error
        except GatewayError as error:
            raise StartRefused(f"{error.title}: {error.private or error.detail}") from error


class Service:
    """One gateway process."""

    def __init__(self, settings: Settings, participants: Participants, log: logs.Log) -> None:
        self.settings = settings
        self.participants = participants
        self.log = log
        self.clock: Clock = SystemClock()
        self.metrics = Metrics(version=version("cdi-dvp-gateway"))
        self.validators = Validators(schemas.load())
        self.refusals = Refusals()
        self.stop = asyncio.Event()
        self.exit_code = 0
        self.started = False

    async def run(self) -> int:
        settings = self.settings
        migrations.check(settings.store.url, "store")
        migrations.check(settings.audit.url, "audit")
        async with contextlib.AsyncExitStack() as stack:
            self.store: Store = await stack.enter_async_context(
                open_store(
                    settings.store.url,
                    sealer=AesGcmSealer(settings.secrets.storage_key_file),
                    lease_owner=str(uuid.uuid4()),
                    queue_max=settings.store.queue_max,
                    batch_max=settings.store.batch_max,
                )
            )
            self.audit: AuditLog = ObservedAuditLog(
                await stack.enter_async_context(
                    open_audit_log(
                        settings.audit.url,
                        name=settings.audit.origin,
                        origin=self._origin(),
                        queue_max=settings.audit.queue_max,
                        batch_max=settings.audit.batch_max,
                    )
                ),
                metrics=self.metrics,
                clock=self.clock,
            )
            self.signers: dict[str, Signer] = {
                item.id: FileSigner(item.signing_key_file, item.signing_key_id) for item in settings.platforms
            }
            platforms = {item.id: await stack.enter_async_context(self._platform(item)) for item in settings.platforms}
            self.roster = Roster(view(settings, self.participants, self.validators), platforms)
            self.tokens = await stack.enter_async_context(self._tokens())
            self.recorder = Recorder(self.store, self.audit)
            # What a crash left in the outbox goes first, so that records keep their order.
            await self.recorder.flush()
            await self.audit.append([record(self.clock.now(), "service.started")])
            await self._serve()
            with contextlib.suppress(GatewayError):  # the log may be why we stop
                await self.worker.write_refusals()
                await self.audit.append([record(self.clock.now(), "service.stopped")])
        self.log.event("service.stopped", status=self.exit_code)
        return self.exit_code

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._flows(tasks)
            listeners = self._listeners()
            for listener in listeners:
                await listener.start(tasks)
                self.log.event("listener.started", listener=listener.name, port=listener.port)
            endless = [
                tasks.create_task(self.metrics.watch_loop()),
                tasks.create_task(self.tokens.run()),
                tasks.create_task(self._watch()),
            ]
            worker = tasks.create_task(self.worker.run(self.stop))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop.set)
            loop.add_signal_handler(signal.SIGHUP, lambda: tasks.create_task(self._reload(listeners)))
            # Start-up's objects live as long as the process: leave them out of every collection.
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            self.started = True
            self.log.event("service.ready")
            await self.stop.wait()
            await self._drain(listeners, worker)
            for task in endless:
                task.cancel()

    async def _drain(self, listeners: list[ListenerServer], worker: asyncio.Task[None]) -> None:
        """Ready is 503 from here on. Requests first, then what they started, then the worker; health to the end."""
        self.log.event("service.draining")
        bank, partner, ops = listeners
        seconds = self.settings.limits.shutdown_seconds
        await asyncio.gather(bank.drain(seconds), partner.drain(seconds))
        # What is still running then goes on after the next start, or in another process, when its lease ends.
        await self.verifications.finish_running(seconds)
        await worker
        await ops.drain(1.0)

    # --- parts ---------------------------------------------------------------------------------------------

    def _flows(self, tasks: asyncio.TaskGroup) -> None:
        settings = self.settings
        pseudonym_key = read_secret(settings.secrets.pseudonym_key_file)
        self.codec = CdiV1(
            self.validators,
            public_url=settings.deployment.public_url,
            gateway_id=settings.deployment.participant_id,
        )
        self.pseudonym_key = pseudonym_key
        self.admission = Admission(
            roster=self.roster,
            limits=MemoryRateLimits(self.clock, keys_max=settings.rates.keys_max),
            tokens=self.tokens,
            clock=self.clock,
            default_rate=settings.rates.participant.rate(),
            route_rates={route: setting.rate() for route, setting in settings.rates.routes.items()},
            refusals=self.refusals,
        )
        self.consents = Consents(
            store=self.store,
            audit=self.audit,
            recorder=self.recorder,
            roster=self.roster,
            clock=self.clock,
            pseudonym_key=pseudonym_key,
        )
        self.verifications = Verifications(
            store=self.store,
            audit=self.audit,
            recorder=self.recorder,
            roster=self.roster,
            clock=self.clock,
            signer=FileSigner(settings.reports.signing_key_file, settings.reports.key_id),
            report_payload=self.codec.report_payload,
            pace=Pace(
                deadline=settings.exchange.deadline_seconds,
                retry_first=settings.exchange.retry_first_seconds,
                retry_max=settings.exchange.retry_max_seconds,
                lease=settings.exchange.lease_seconds,
            ),
            observer=Observed(self.metrics, self.log),
            tasks=tasks,
            running_max=settings.limits.in_flight_max,
        )
        self.worker = Worker(
            verifications=self.verifications,
            consents=self.consents,
            recorder=self.recorder,
            refusals=self.refusals,
            audit=self.audit,
            clock=self.clock,
            interval_seconds=settings.exchange.worker_interval_seconds,
            batch_max=settings.exchange.worker_batch_max,
            failed=lambda error: self.log.failure("worker.failed", error),
        )

    def _listeners(self) -> list[ListenerServer]:
        settings, limits = self.settings, self.settings.limits
        in_flight = InFlight(limits.in_flight_max)
        bank = BankApi(
            admission=self.admission,
            consents=self.consents,
            verifications=self.verifications,
            data_requests=DataRequests(
                store=self.store,
                audit=self.audit,
                recorder=self.recorder,
                verifications=self.verifications,
                clock=self.clock,
            ),
            notices=Notices(store=self.store, clock=self.clock),
            codec=self.codec,
            limits=BankLimits(
                body_bytes_max=limits.body_bytes_max,
                body_timeout_seconds=limits.body_timeout_seconds,
                batch_items_max=limits.batch_items_max,
                batch_bytes_max=limits.batch_bytes_max,
                digest_bytes_max=limits.digest_bytes_max,
                wait_seconds_max=limits.wait_seconds_max,
                page_items_max=limits.page_items_max,
            ),
            public_url=settings.deployment.public_url,
            idempotency_secret=self.pseudonym_key,
        )
        partner = PartnerApi(
            admission=self.admission,
            inbound=Inbound(
                exchanges=self.store,
                notices=self.store,
                audit=self.audit,
                recorder=self.recorder,
                replays=MemoryReplays(self.clock, ids_max=REPLAY_IDS_MAX),
                clock=self.clock,
            ),
            validators=self.validators,
            clock=self.clock,
            own_id=settings.deployment.participant_id,
            peers={
                item.id: Peer(keys=key_set(item.jwks_file.read_bytes()), signer=self.signers[item.id])
                for item in settings.platforms
            },
            body_bytes_max=limits.body_bytes_max,
            body_timeout_seconds=limits.body_timeout_seconds,
            refused=lambda reason: self.log.event("inbound.refused", level="warning", reason=reason),
        )
        ops = ops_application(
            self.metrics,
            live={"process": lambda: True},
            ready={
                "serving": lambda: self.started and not self.stop.is_set(),
                "audit": self.audit.healthy,
                "store": self.store.healthy,
            },
            started={"started": lambda: self.started},
        )
        self.metrics.set_certificates(
            {"bank": settings.bank.certificate_file, "partner": settings.partner.certificate_file}
        )
        return [
            self._listener("bank", self._application(bank.routes(), in_flight), server_context(settings.bank)),
            self._listener("partner", self._application(partner.routes(), in_flight), server_context(settings.partner)),
            self._listener("ops", ops, None),
        ]

    def _application(self, routes: list[web.RouteDef], in_flight: InFlight) -> web.Application:
        boundary = Boundary(in_flight=in_flight, metrics=self.metrics, log=self.log, clock=self.clock)
        application = web.Application(middlewares=[boundary])
        application.add_routes(routes)
        return application

    def _listener(self, name: str, application: web.Application, context: ssl.SSLContext | None) -> ListenerServer:
        listener = getattr(self.settings, name)
        return ListenerServer(
            name,
            application,
            listener,
            context,
            ConnectionLimits.of(listener, self.settings.limits),
            metrics=self.metrics,
            log=self.log,
        )

    @contextlib.asynccontextmanager
    async def _platform(self, settings: PlatformSettings) -> AsyncIterator[DvpHttpPlatform]:
        duration = self.metrics.upstream_duration

        def observe(message: str, seconds: float, _result: str) -> None:
            duration(settings.id, message).observe(seconds)

        platform = DvpHttpPlatform(
            platform_id=settings.id,
            own_id=self.settings.deployment.participant_id,
            url=settings.url,
            ssl_context=client_context(
                ca_file=settings.ca_file, certificate_file=settings.certificate_file, key_file=settings.key_file
            ),
            signer=self.signers[settings.id],
            keys=key_set(settings.jwks_file.read_bytes()),
            validators=self.validators,
            clock=self.clock,
            breaker=Breaker(failures_max=settings.breaker.failures_max, open_seconds=settings.breaker.open_seconds),
            deadline_seconds=settings.deadline_seconds,
            attempt_seconds=settings.attempt_seconds,
            attempts_max=settings.attempts_max,
            concurrency_max=settings.concurrency_max,
            answer_bytes_max=settings.answer_bytes_max,
            observe=observe,
        )
        try:
            yield platform
        finally:
            await platform.close()

    @contextlib.asynccontextmanager
    async def _tokens(self) -> AsyncIterator[JwtVerifier]:
        oauth = self.settings.oauth
        async with contextlib.AsyncExitStack() as stack:
            trusted = []
            for issuer in oauth.issuers:
                source = _keys_of(issuer)
                stack.push_async_callback(source.aclose)
                trusted.append(
                    TrustedIssuer(
                        issuer=issuer.issuer,
                        keys=IssuerKeys(
                            source.fetch,
                            clock=self.clock,
                            refresh_seconds=issuer.refresh_seconds,
                            stale_seconds_max=issuer.stale_seconds_max,
                        ),
                        algorithms=frozenset(issuer.algorithms),
                        approves_consents=issuer.approves_consents,
                    )
                )
            yield JwtVerifier(
                trusted,
                resource=oauth.resource,
                clock=self.clock,
                skew_seconds=oauth.clock_skew_seconds,
                lifetime_seconds_max=oauth.lifetime_seconds_max,
                cache_max=oauth.token_cache_max,
            )

    def _origin(self) -> Origin:
        return Origin(
            software=f"cdi-dvp-gateway/{version('cdi-dvp-gateway')}",
            schema="cdi/v1 dvp/v1",
            config=config_hash(self.settings, self.participants),
        )

    # --- while it runs -------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Gauges every second; and when the audit log is dead, the end: a failed sync is never retried in place."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if not self.audit.healthy() and not self.stop.is_set():
                self.log.event("audit.failed", level="error")
                self.exit_code = 1
                self.stop.set()
            for platform_id, platform in self.roster.platforms.items():
                self.metrics.breaker_state(platform_id).set(platform.breaker_open())
            with contextlib.suppress(GatewayError):
                for status, count in (await self.store.count_open()).items():
                    self.metrics.exchanges_open(status.value).set(count)
                for consent_status, count in (await self.store.count_consents()).items():
                    self.metrics.consents(consent_status.value).set(count)

    async def _reload(self, listeners: list[ListenerServer]) -> None:
        """Participants, revocation lists, certificates: all of them or none. Who is no longer known is cut off."""
        try:
            participants = load_participants(self.settings.participants_file, codes=published_codes())
            fresh = view(self.settings, participants, self.validators)
            contexts = [server_context(self.settings.bank), server_context(self.settings.partner)]
        except Exception as error:  # whatever is wrong with the new files, the old ones stay
            self.log.failure("reload.refused", error)
            return
        try:
            await self.audit.append([record(self.clock.now(), "config.loaded")])
        except GatewayError as error:
            self.log.failure("reload.refused", error)
            return
        self.participants = participants
        self.roster.view = fresh
        for listener, context in zip(listeners, contexts, strict=False):
            listener.swap_context(context)
            listener.close_connections_where(
                lambda item: fresh.registry.by_certificate(item) is None or fresh.revoked(item)
            )
        self.log.event("reload.done")


def _keys_of(issuer: Issuer) -> KeyFile | Discovery:
    if issuer.jwks_file is not None:
        return KeyFile(issuer.jwks_file)
    return Discovery(
        issuer.issuer,
        ssl_context=ssl.create_default_context(cafile=str(issuer.ca_file) if issuer.ca_file else None),
        timeout_seconds=issuer.timeout_seconds,
    )
