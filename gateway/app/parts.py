"""The parts that live as long as the process: databases, platforms, keys of issuers, who may be believed."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import schemas
from adapters.clock import SystemClock
from adapters.issuers.jwks import Discovery, IssuerKeys, KeyFile
from adapters.issuers.local import LocalKeys
from adapters.issuers.tokens import Tokens
from adapters.issuers.verifier import JwtVerifier, TrustedIssuer
from adapters.keys.file import AesGcmSealer, FileSigner, read_secret
from adapters.platforms.breaker import Breaker
from adapters.platforms.dvp_http import DvpHttpPlatform
from adapters.sql.audit import open_audit_log
from adapters.sql.store import open_store
from gateway.app.identities import view
from gateway.app.introspecting import introspection
from gateway.app.token_keys import published_keys
from gateway.app.trail import Trail, open_trail
from gateway.audit.record import Origin
from gateway.core.pseudonym import pseudonym
from gateway.exchange.admission import Refusals
from gateway.exchange.recording import Recorder
from gateway.exchange.roster import Roster
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics
from gateway.ports import AuditLog, AuthorizationStore, Clock, Signer, Store
from gateway.profiles.dvp_v1.signature import key_set
from gateway.profiles.validation import Validators
from gateway.settings import Issuer, Participants, PlatformSettings, Settings, config_hash
from gateway.tls import client_context, outgoing_context

SOFTWARE = "cdi-dvp-gateway"
REVOCATION_MARGIN_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    settings: Settings
    participants: Participants  # as read at the start
    log: Log
    clock: Clock
    metrics: Metrics
    validators: Validators
    store: Store
    audit: AuditLog
    trail: Trail
    recorder: Recorder
    refusals: Refusals
    signers: Mapping[str, Signer]  # of our messages, by platform id
    roster: Roster
    tokens: Tokens
    state: AuthorizationStore  # of the embedded authorization server, in the store's database
    sealer: AesGcmSealer


@contextlib.asynccontextmanager
async def open_parts(settings: Settings, participants: Participants, log: Log) -> AsyncIterator[Parts]:
    """Everything opened, for as long as the block lasts. Raises what its adapters raise for what cannot be used."""
    clock, metrics, validators = SystemClock(), Metrics(version=version(SOFTWARE)), Validators(schemas.load())
    keyed = partial(pseudonym, read_secret(settings.secrets.pseudonym_key_file))
    async with contextlib.AsyncExitStack() as stack:
        sealer = AesGcmSealer(settings.secrets.storage_key_file)
        store = await stack.enter_async_context(
            open_store(
                settings.store.url,
                sealer=sealer,
                lease_owner=str(uuid.uuid4()),
                queue_max=settings.store.queue_max,
                batch_max=settings.store.batch_max,
                revocation_seconds=revocation_seconds(settings),
            )
        )
        entries = await stack.enter_async_context(
            open_audit_log(
                settings.audit.url,
                name=settings.audit.origin,
                origin=_origin(settings, participants),
                sealer=sealer,
                queue_max=settings.audit.queue_max,
                batch_max=settings.audit.batch_max,
                damaged=lambda key_id: log.event("audit.key_damaged", level="error", name=key_id),
            )
        )
        trail = await stack.enter_async_context(
            open_trail(settings.audit, entries, keyed=keyed, clock=clock, metrics=metrics, log=log)
        )
        signers = {item.id: FileSigner(item.signing_key_file, item.signing_key_id) for item in settings.platforms}
        platforms = {}
        for item in settings.platforms:
            platforms[item.id] = _platform(
                item,
                own_id=settings.deployment.participant_id,
                signer=signers[item.id],
                metrics=metrics,
                validators=validators,
                clock=clock,
            )
            stack.push_async_callback(platforms[item.id].close)
        yield Parts(
            settings=settings,
            participants=participants,
            log=log,
            clock=clock,
            metrics=metrics,
            validators=validators,
            store=store,
            audit=trail.audit,
            trail=trail,
            recorder=Recorder(store, trail.audit),
            refusals=Refusals(),
            signers=signers,
            roster=Roster(view(settings, participants, validators), platforms),
            tokens=_tokens(settings, clock, stack),
            state=store.authorization,
            sealer=sealer,
        )


def revocation_seconds(settings: Settings) -> int:
    """How long an end is announced: longer than any token that is believed lives."""
    return int(settings.oauth.lifetime_seconds_max) + REVOCATION_MARGIN_SECONDS


def _origin(settings: Settings, participants: Participants) -> Origin:
    return Origin(
        software=f"{SOFTWARE}/{version(SOFTWARE)}",
        schema="cdi/v1 dvp/v1",
        config=config_hash(settings, participants),
    )


def _platform(
    settings: PlatformSettings,
    *,
    own_id: str,
    signer: Signer,
    metrics: Metrics,
    validators: Validators,
    clock: Clock,
) -> DvpHttpPlatform:
    def observe(message: str, seconds: float, _result: str) -> None:
        metrics.upstream_duration(settings.id, message).observe(seconds)

    return DvpHttpPlatform(
        platform_id=settings.id,
        own_id=own_id,
        url=settings.url,
        ssl_context=client_context(
            ca_file=settings.ca_file, certificate_file=settings.certificate_file, key_file=settings.key_file
        ),
        signer=signer,
        keys=key_set(settings.jwks_file.read_bytes()),
        validators=validators,
        clock=clock,
        breaker=Breaker(failures_max=settings.breaker.failures_max, open_seconds=settings.breaker.open_seconds),
        deadline_seconds=settings.deadline_seconds,
        attempt_seconds=settings.attempt_seconds,
        attempts_max=settings.attempts_max,
        concurrency_max=settings.concurrency_max,
        answer_bytes_max=settings.answer_bytes_max,
        observe=observe,
    )


def _tokens(settings: Settings, clock: Clock, stack: contextlib.AsyncExitStack) -> Tokens:
    oauth = settings.oauth
    trusted, opaque = [], []
    if oauth.server is not None:
        # Its own keys need no call: a refresh finds what the key files held at the start.
        own = LocalKeys(published_keys(oauth.server))
        trusted.append(_trusted(oauth.server.issuer, own, clock, algorithms=("ES256",)))
    for issuer in oauth.issuers:
        source = _keys_of(issuer)
        stack.push_async_callback(source.aclose)
        trusted.append(
            _trusted(
                issuer.issuer,
                source,
                clock,
                algorithms=issuer.algorithms,
                approves=issuer.approves_consents,
                refresh_seconds=issuer.refresh_seconds,
                stale_seconds_max=issuer.stale_seconds_max,
            )
        )
        if issuer.introspection is not None:
            verifier = introspection(issuer, issuer.introspection, oauth, clock)
            stack.push_async_callback(verifier.aclose)
            opaque.append(verifier)
    jwts = JwtVerifier(
        trusted,
        resource=oauth.resource,
        clock=clock,
        skew_seconds=oauth.clock_skew_seconds,
        lifetime_seconds_max=oauth.lifetime_seconds_max,
        cache_max=oauth.token_cache_max,
    )
    return Tokens(jwts, opaque)


def _trusted(
    issuer: str,
    source: KeyFile | Discovery | LocalKeys,
    clock: Clock,
    *,
    algorithms: Sequence[str],
    approves: bool = False,
    refresh_seconds: float = 3_600,
    stale_seconds_max: float = 86_400,
) -> TrustedIssuer:
    return TrustedIssuer(
        issuer=issuer,
        keys=IssuerKeys(
            source.fetch, clock=clock, refresh_seconds=refresh_seconds, stale_seconds_max=stale_seconds_max
        ),
        algorithms=frozenset(algorithms),
        approves_consents=approves,
    )


def _keys_of(issuer: Issuer) -> KeyFile | Discovery:
    if issuer.jwks_file is not None:
        return KeyFile(issuer.jwks_file)
    return Discovery(
        issuer.issuer,
        ssl_context=outgoing_context(ca_file=issuer.ca_file),
        timeout_seconds=issuer.timeout_seconds,
    )
