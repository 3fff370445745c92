"""The flows over the parts: admission, consents, verifications, what comes unasked, and the worker behind them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from adapters.keys.file import FileSigner, read_secret
from adapters.limits.memory import MemoryRateLimits, MemoryReplays
from gateway.app.authorization import Embedded, Shared, build_authorization
from gateway.app.parts import Parts
from gateway.core.pseudonym import pseudonym
from gateway.exchange.admission import Admission
from gateway.exchange.consents import Consents
from gateway.exchange.data_requests import DataRequests
from gateway.exchange.inbound import Inbound
from gateway.exchange.liveness import Liveness
from gateway.exchange.notices import Notices
from gateway.exchange.pace import Pace
from gateway.exchange.possession import Possession
from gateway.exchange.proofs import Proofs
from gateway.exchange.reliance import Reliance
from gateway.exchange.statements import Signatory
from gateway.exchange.step_up import StepUp
from gateway.exchange.verification import Verifications
from gateway.exchange.worker import Worker
from gateway.http.addresses import Addresses
from gateway.oauth.dpop import Nonces
from gateway.observe.verifications import Observed
from gateway.profiles.cdi_v1 import CdiV1

REPLAY_IDS_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    admission: Admission
    consents: Consents
    verifications: Verifications
    data_requests: DataRequests
    proofs: Proofs
    notices: Notices
    inbound: Inbound
    worker: Worker
    step_up: StepUp
    signatory: Signatory
    embedded: Embedded | None
    codec: CdiV1
    idempotency_secret: bytes


def build_flows(parts: Parts, tasks: asyncio.TaskGroup, stack: contextlib.AsyncExitStack) -> Flows:
    """`tasks` owns the verifications that run, `stack` closes what is opened. Raises KeyFileRefused, ValueError,
    OSError."""
    settings, store, audit, clock = parts.settings, parts.store, parts.audit, parts.clock
    pseudonym_key = read_secret(settings.secrets.pseudonym_key_file)
    codec = CdiV1(
        parts.validators,
        public_url=settings.deployment.public_url,
        gateway_id=settings.deployment.participant_id,
        log_origin=settings.audit.origin,
    )
    reports = FileSigner(settings.reports.signing_key_file, settings.reports.key_id)
    shared = Shared(
        limits=MemoryRateLimits(clock, keys_max=settings.rates.keys_max),
        addresses=Addresses(MemoryRateLimits(clock, keys_max=settings.rates.keys_max), settings.rates.browser.rate()),
        possession=Possession(nonces=Nonces(_derived(pseudonym_key, "dpop-nonce")), replays=parts.state, clock=clock),
        liveness=Liveness(
            revocations=parts.state,
            clock=clock,
            own_issuer=settings.oauth.server.issuer if settings.oauth.server is not None else None,
        ),
        codec=codec,
        reports=reports,
        pseudonym_key=pseudonym_key,
    )
    consents = Consents(
        store=store,
        audit=audit,
        recorder=parts.recorder,
        roster=parts.roster,
        clock=clock,
        pseudonym_key=pseudonym_key,
        liveness=shared.liveness,
    )
    signatory = Signatory(signer=reports, payloads=codec)
    reliance = Reliance(exchanges=store, notices=store, clock=clock)
    verifications = _verifications(parts, signatory, reliance, tasks)
    data_requests = DataRequests(
        store=store, audit=audit, recorder=parts.recorder, verifications=verifications, clock=clock
    )
    return Flows(
        admission=Admission(
            roster=parts.roster,
            limits=shared.limits,
            tokens=parts.tokens,
            possession=shared.possession,
            liveness=shared.liveness,
            clock=clock,
            default_rate=settings.rates.participant.rate(),
            route_rates={route: setting.rate() for route, setting in settings.rates.routes.items()},
            refusals=parts.refusals,
        ),
        consents=consents,
        verifications=verifications,
        data_requests=data_requests,
        proofs=Proofs(data_requests=data_requests, publication=parts.trail.publication),
        notices=Notices(store=store, clock=clock),
        inbound=Inbound(
            reliance=reliance, audit=audit, replays=MemoryReplays(clock, ids_max=REPLAY_IDS_MAX), clock=clock
        ),
        step_up=StepUp({one.document_type: one.max_age_seconds for one in settings.oauth.step_up}),
        signatory=signatory,
        embedded=build_authorization(parts, shared, stack),
        worker=Worker(
            verifications=verifications,
            consents=consents,
            state=parts.state,
            recorder=parts.recorder,
            reliance=reliance,
            refusals=parts.refusals,
            audit=audit,
            clock=clock,
            interval_seconds=settings.exchange.worker_interval_seconds,
            batch_max=settings.exchange.worker_batch_max,
            failed=lambda error: parts.log.failure("worker.failed", error),
        ),
        codec=codec,
        idempotency_secret=pseudonym_key,
    )


def _derived(key: bytes, use: str) -> bytes:
    """Another key for another use."""
    return bytes.fromhex(pseudonym(key, "derived-key", use))


def _verifications(parts: Parts, signatory: Signatory, reliance: Reliance, tasks: asyncio.TaskGroup) -> Verifications:
    settings = parts.settings
    return Verifications(
        store=parts.store,
        audit=parts.audit,
        recorder=parts.recorder,
        roster=parts.roster,
        reliance=reliance,
        clock=parts.clock,
        signatory=signatory,
        pace=Pace(
            deadline=settings.exchange.deadline_seconds,
            retry_first=settings.exchange.retry_first_seconds,
            retry_max=settings.exchange.retry_max_seconds,
            lease=settings.exchange.lease_seconds,
        ),
        observer=Observed(parts.metrics, parts.log),
        tasks=tasks,
        running_max=settings.limits.in_flight_max,
    )
