"""The flows on real databases, with a platform and a token issuer that do as they are told."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from adapters.limits.memory import MemoryRateLimits, MemoryReplays
from adapters.sql import migrations
from adapters.sql.audit import SqlAuditLog, open_audit_log
from adapters.sql.store import SqlStore, open_store
from gateway.audit.privacy import opened
from gateway.audit.record import Record
from gateway.core.canonical import canonical
from gateway.core.consent import DataRequest, Grant
from gateway.core.model import (
    Certificate,
    CertificateRule,
    Consent,
    Direction,
    Exchange,
    Logged,
    Notice,
    Outcome,
    Participant,
    Rate,
    Reason,
    Role,
    Verdict,
)
from gateway.core.registry import Registry
from gateway.core.verification import Answer, Question, Silence, Trust
from gateway.errors import AuditUnavailable, TokenInvalid
from gateway.exchange.admission import Admission, Admitted, Caller, Refusals
from gateway.exchange.consents import Consents
from gateway.exchange.data_requests import DataRequests
from gateway.exchange.inbound import Inbound
from gateway.exchange.liveness import Liveness
from gateway.exchange.notices import Notices
from gateway.exchange.owned import OwnedConsents
from gateway.exchange.pace import Pace
from gateway.exchange.possession import Possession
from gateway.exchange.proofs import Proofs
from gateway.exchange.recording import Recorder
from gateway.exchange.reliance import Reliance
from gateway.exchange.roster import Roster, View
from gateway.exchange.statements import Signatory
from gateway.exchange.verification import Verifications
from gateway.exchange.worker import Worker
from gateway.oauth import scopes
from gateway.oauth.dpop import Nonces
from gateway.ports import AccessToken, AuditLog, ConsentStep, Idempotency, Position, TraceContext
from tests import samples
from tests.fakes import FakeClock, FakeSealer
from tests.fakes_publication import FakePublication
from tests.samples import BANK, NOW, ORIGIN, SOURCE

OTHER_BANK = "BANKB01DC"
PLATFORM = "DVP01"
LONELY_SOURCE = "SZLONELY01DP"  # known, on no platform
TYPE, PURPOSE = "CORPORATE_CREDIT_REPORT", "SME_LOAN_UNDERWRITING"
PACE = Pace(deadline=600, retry_first=2, retry_max=60, lease=30)
TRACE = TraceContext(traceparent=f"00-{'1' * 32}-{'2' * 16}-00")
INTERACTION = "11111111-2222-4333-8444-555555555555"
PSEUDONYM_KEY = b"p" * 32
ENOUGH = 30.0  # seconds, for what must happen; a test that gets there has failed

_serials = itertools.count(1)


def certificate(owner: str, **changes: Any) -> Certificate:
    digest = f"{owner:_<64}"
    values: dict[str, Any] = {
        "sha256": digest,
        "thumbprint": digest[:43],
        "issuer": "CN=authority",
        "subject": f"CN={owner}",
        "serial": next(_serials),
        "not_before": NOW - 86_400,
        "not_after": NOW + 86_400,
    }
    return Certificate(**(values | changes))


def participant(identity: str, role: Role = Role.BANK, **changes: Any) -> Participant:
    values: dict[str, Any] = {
        "participant_id": identity,
        "name": f"Name of {identity}",
        "role": role,
        "active": True,
        "directions": frozenset({Direction.SOUTHBOUND}),
        "document_types": frozenset({TYPE}),
        "purposes": frozenset({PURPOSE}),
        "certificates": (CertificateRule(sha256=certificate(identity).sha256),),
        "clients": frozenset({f"client-{identity}"}),
        "platform_id": PLATFORM if role is Role.SOURCE else None,
    }
    return Participant(**(values | changes))


PARTICIPANTS = (
    participant(BANK),
    participant(OTHER_BANK),
    participant(SOURCE, Role.SOURCE),
    participant(LONELY_SOURCE, Role.SOURCE, platform_id=None),
    participant(PLATFORM, Role.PLATFORM),
)
TRUSTING = Trust(
    entitled=lambda _issuer, _type: True,
    issuer_key_known=lambda _issuer, _signature: True,
    issuer_signed=lambda _issuer, _statement, _signature: True,
    provable=lambda _chain: True,
    anchored=lambda _chain, _leaf: True,
)


def view(*participants: Participant, revoked: frozenset[str] = frozenset()) -> View:
    """Of these participants instead of the usual ones of the same id; `revoked` by SHA-256."""
    known = {item.participant_id: item for item in (*PARTICIPANTS, *participants)}
    return View(
        registry=Registry(known.values()), revoked=lambda item: item.sha256 in revoked, trust={PLATFORM: TRUSTING}
    )


def match(evidence_id: str = "evidence-1") -> Answer:
    return Answer(
        outcome=Outcome.MATCH, reason=None, evidence=samples.evidence(evidence_id=evidence_id), checked_at=NOW
    )


SILENCE = Silence(reason=Reason.TIMEOUT)


class ScriptedPlatform:
    """Gives the scripted answers in order, then `answer`; an exception is raised. `during` runs while it is asked."""

    platform_id = PLATFORM

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.script: deque[Answer | Silence | Exception] = deque()
        self.answer: Answer | Silence | Exception = match()
        self.during: Callable[[Question], Awaitable[object]] | None = None

    async def ask(self, question: Question, *, trace: TraceContext | None, deadline_seconds: float) -> Answer | Silence:
        self.asked.append(question)
        if self.during is not None:
            await self.during(question)
        answer = self.script.popleft() if self.script else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def breaker_open(self) -> bool:
        return False


class Gate:
    """Holds whoever comes until it is opened, and tells when somebody has come."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, _question: object = None) -> None:
        self.reached.set()
        await self.opened.wait()


class BreakableAuditLog:
    """A real log that breaks on demand. `before` sees the records of each append first."""

    def __init__(self, log: SqlAuditLog) -> None:
        self._log = log
        self.dead = False  # as after a failed sync
        self.refuses = 0  # appends that are refused although it is healthy, as when its queue is full
        self.before: Callable[[Sequence[Record]], Awaitable[object]] | None = None
        self.after: Callable[[Sequence[Record]], Awaitable[object]] | None = None

    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        if self.before is not None:
            await self.before(records)
        if self.dead or self.refuses:
            self.refuses -= not self.dead
            raise AuditUnavailable()
        positions = await self._log.append(records)
        if self.after is not None:
            await self.after(records)
        return positions

    def healthy(self) -> bool:
        return not self.dead and self._log.healthy()


class FakeTokens:
    """Knows the tokens that it was given."""

    def __init__(self) -> None:
        self.known: dict[str, AccessToken] = {}

    async def verify(self, token: str) -> AccessToken:
        if token not in self.known:
            raise TokenInvalid(private="signature")
        return self.known[token]


class FakeSigner:
    key_id = "report-1"

    def sign_jws(self, header: dict[str, str], payload: bytes) -> str:
        return f"{header['typ']}.{payload.hex()}.signature"


@dataclass
class SeenByOperators:
    """`verification.Observer`."""

    outcomes: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    asked_seconds: list[float] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def verified(self, document_type: str, outcome: str) -> None:
        self.outcomes.append(outcome)

    def asked(self, seconds: float) -> None:
        self.asked_seconds.append(seconds)

    def alarm(self, reason: str, exchange_id: str) -> None:
        self.alarms.append(reason)

    def failed(self, error: BaseException, exchange_id: str) -> None:
        self.failures.append(error)


class Killed(Exception):
    """Raised inside `open_world`'s block, it ends the process there: no task goes on, nothing is drained."""


def token(owner: str = BANK, **changes: Any) -> AccessToken:
    values: dict[str, Any] = {
        "issuer": "https://issuer.example",
        "client_id": f"client-{owner}",
        "subject": "pairwise",
        "scopes": frozenset({scopes.CONSENTS, scopes.DATA_REQUESTS, scopes.NOTICES}),
        "thumbprint": certificate(owner).thumbprint,
        "expires_at": NOW + 300,
        "grants": (),
    }
    return AccessToken(**(values | changes))


def full_grant(consent: Consent, **changes: Any) -> Grant:
    """All that an approving issuer says about a consent."""
    values: dict[str, Any] = {
        "consent_id": consent.consent_id,
        "provider_id": consent.provider_id,
        "document_type": consent.scope.document_type,
        "purpose": consent.purpose,
        "expire_time": consent.expire_time,
        "approves": True,
    }
    return Grant(**(values | changes))


class World:
    """One gateway process without its listeners."""

    def __init__(
        self, *, store: SqlStore, log: SqlAuditLog, clock: FakeClock, tasks: asyncio.TaskGroup, running_max: int
    ) -> None:
        self.store, self.log, self.clock = store, log, clock
        self.audit = BreakableAuditLog(log)
        audit: AuditLog = self.audit
        self.killed = False
        self.platform = ScriptedPlatform()
        self.roster = Roster(view(), {PLATFORM: self.platform})
        self.seen = SeenByOperators()
        self.tokens = FakeTokens()
        self.refusals = Refusals()
        self.worker_failures: list[BaseException] = []
        self.recorder = Recorder(store, audit)
        self.state = store.authorization
        self.liveness = Liveness(revocations=self.state, clock=clock)
        self.possession = Possession(nonces=Nonces(b"n" * 32), replays=self.state, clock=clock)
        self.admission = Admission(
            roster=self.roster,
            limits=MemoryRateLimits(clock, keys_max=100),
            tokens=self.tokens,
            possession=self.possession,
            liveness=self.liveness,
            clock=clock,
            default_rate=Rate(per_second=10, burst=5),
            route_rates={"POST /slow": Rate(per_second=1, burst=1)},
            refusals=self.refusals,
        )
        self.consents = Consents(
            store=store,
            audit=audit,
            recorder=self.recorder,
            roster=self.roster,
            clock=clock,
            pseudonym_key=PSEUDONYM_KEY,
            liveness=self.liveness,
        )
        self.owned = OwnedConsents(
            store=store, audit=audit, recorder=self.recorder, clock=clock, liveness=self.liveness
        )
        self.reliance = Reliance(exchanges=store, notices=store, clock=clock)
        self.verifications = Verifications(
            store=store,
            audit=audit,
            recorder=self.recorder,
            roster=self.roster,
            reliance=self.reliance,
            clock=clock,
            signatory=Signatory(signer=FakeSigner(), payloads=FakePayloads()),
            pace=PACE,
            observer=self.seen,
            tasks=tasks,
            running_max=running_max,
        )
        self.data_requests = DataRequests(
            store=store, audit=audit, recorder=self.recorder, verifications=self.verifications, clock=clock
        )
        self.publication = FakePublication()
        self.proofs = Proofs(data_requests=self.data_requests, publication=self.publication)
        self.notices = Notices(store=store, clock=clock, look_seconds=0.01)
        self.inbound = Inbound(
            reliance=self.reliance, audit=audit, replays=MemoryReplays(clock, ids_max=100), clock=clock
        )
        self.worker = Worker(
            verifications=self.verifications,
            consents=self.consents,
            state=self.state,
            recorder=self.recorder,
            reliance=self.reliance,
            refusals=self.refusals,
            audit=audit,
            clock=clock,
            interval_seconds=0.01,
            batch_max=10,
            failed=self.worker_failures.append,
        )

    # --- who and what --------------------------------------------------------------------------------------

    def caller(self, *grants: Grant, owner: str = BANK) -> Caller:
        """Admitted and authorised, with what the token says of consents."""
        found = self.roster.view.registry.by_id(owner)
        assert found is not None
        return Caller(
            participant=found,
            certificate=certificate(owner),
            interaction=INTERACTION,
            trace=TRACE,
            now=self.clock.now(),
            token=token(owner, grants=grants),
        )

    def admitted_platform(self) -> Admitted:
        found = self.roster.view.registry.by_id(PLATFORM)
        assert found is not None
        return Admitted(
            participant=found,
            certificate=certificate(PLATFORM),
            interaction=INTERACTION,
            trace=TRACE,
            now=self.clock.now(),
            allowances=(),
        )

    async def consent(self, **changes: Any) -> Consent:
        """Saved as it is given, without the flow."""
        return await self.store.submit(lambda _: ConsentStep(consent=samples.consent(**changes)), samples.idempotency())

    async def ask(
        self,
        consent: Consent,
        *,
        key: Idempotency | None = None,
        wait_seconds: float = 0,
        patient: bool = False,
        **changes: Any,
    ) -> Exchange:
        return await self.verifications.ask(
            self.caller(Grant(consent_id=consent.consent_id)),
            request(consent, **changes),
            key or samples.idempotency(),
            wait_seconds=wait_seconds,
            patient=patient,
        )

    async def settled(self, exchange: Exchange) -> Exchange:
        """The exchange after what runs now has ended."""
        assert await self.verifications.finish_running(ENOUGH)
        return await self.saved(exchange)

    async def saved(self, exchange: Exchange) -> Exchange:
        found = await self.store.exchange(exchange.exchange_id)
        assert found is not None
        return found

    async def uses(self, consent: Consent) -> tuple[int, int]:
        """(reserved, used), as saved."""
        found = await self.store.consent(consent.consent_id)
        assert found is not None
        return found.reserved, found.used

    async def entries(self) -> list[dict[str, Any]]:
        """The audit log from its beginning, as those read it who have the keys of its subjects."""
        found = [stored.entry async for stored in self.log.read() if stored.entry is not None]
        subjects = {entry["subject"] for entry in map(orjson.loads, found) if "subject" in entry}
        open_ = await self.log.open_for(sorted(subjects))
        return [opened(entry, open_) for entry in found]

    async def types(self) -> list[str]:
        return [entry["type"] for entry in await self.entries()]

    async def told(self, owner: str = BANK) -> list[Notice]:
        return list(await self.store.notices(owner, after=0, limit=1_000))


@asynccontextmanager
async def open_world(folder: Path, clock: FakeClock | None = None, *, running_max: int = 200) -> AsyncIterator[World]:
    """A process on the databases in `folder`; a second one there is its successor."""
    url = f"sqlite:///{folder / 'gateway.db'}"
    for schema in migrations.SCHEMAS:
        migrations.upgrade(url, schema)
    async with (
        open_store(
            url, sealer=FakeSealer(), lease_owner=samples.unique("process"), queue_max=1_000, batch_max=64
        ) as store,
        open_audit_log(url, name="test", origin=ORIGIN, sealer=FakeSealer(), queue_max=1_000, batch_max=64) as log,
    ):
        try:
            async with asyncio.TaskGroup() as tasks:
                world = World(store=store, log=log, clock=clock or FakeClock(), tasks=tasks, running_max=running_max)
                yield world
        except* Killed:
            world.killed = True


def request(consent: Consent, **changes: Any) -> DataRequest:
    """Exactly what the consent covers, but for the changes."""
    made = DataRequest(
        consent_id=consent.consent_id,
        scope=consent.scope,
        purpose=consent.purpose,
        document=samples.document(issuer_id=consent.provider_id),
    )
    return replace(made, **changes)


class FakePayloads:
    """`statements.Payloads`."""

    def report_payload(self, exchange: Exchange, verdict: Verdict, _now: float) -> bytes:
        return canonical({"dataRequestId": exchange.exchange_id, "outcome": verdict.outcome.value})

    def receipt_payload(
        self, exchange: Exchange, consent: Consent, verdict: Verdict, logged: Logged, _now: float
    ) -> bytes:
        return canonical(
            {
                "dataRequestId": exchange.exchange_id,
                "consentHash": consent.hash_key,
                "outcome": verdict.outcome.value,
                "index": logged.index,
                "leafHash": logged.leaf_hash.hex(),
            }
        )

    def consent_event_payload(self, notice: Notice, _now: float) -> bytes | None:
        return canonical({"type": notice.type}) if notice.consent_id is not None else None
