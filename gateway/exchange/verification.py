"""One verification: accept, record the intent, ask, judge, record the outcome, deliver. THE ORDER of the product.

Every line that a crash may fall behind says what is left and who picks it up. The lease keeps other processes (and
this one's worker) away from an exchange that is being advanced.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Protocol

from gateway.core import consent as rules
from gateway.core import lifecycle
from gateway.core.consent import Consented, DataRequest
from gateway.core.model import (
    Consent,
    Exchange,
    ExchangeStatus,
    Outcome,
    Reason,
    Verdict,
)
from gateway.core.verification import judge, question
from gateway.errors import (
    AuditUnavailable,
    ConsentNotFound,
    ConsentScopeExceeded,
    GatewayError,
    Internal,
    Overloaded,
)
from gateway.exchange import statements, steps
from gateway.exchange.admission import Caller
from gateway.exchange.advancing import Advancing
from gateway.exchange.consents import validated
from gateway.exchange.identifiers import new_id
from gateway.exchange.pace import Pace
from gateway.exchange.recording import Recorder
from gateway.exchange.reliance import Reliance
from gateway.exchange.roster import Roster
from gateway.exchange.statements import Signatory
from gateway.exchange.waiting import Waiting
from gateway.ports import (
    AuditLog,
    Clock,
    ExchangeStep,
    Idempotency,
    Platform,
    Store,
    TraceContext,
)


class Observer(Protocol):
    """What operations people see of a verification."""

    def asked(self, seconds: float) -> None: ...
    def verified(self, document_type: str, outcome: str) -> None: ...
    def alarm(self, reason: str, exchange_id: str) -> None: ...
    def failed(self, error: BaseException, exchange_id: str) -> None: ...


class Verifications:
    """Runs exchanges. Tasks belong to the group that is given; at most `running_max` at a time."""

    def __init__(
        self,
        *,
        store: Store,
        audit: AuditLog,
        recorder: Recorder,
        roster: Roster,
        reliance: Reliance,
        clock: Clock,
        signatory: Signatory,
        pace: Pace,
        observer: Observer,
        tasks: asyncio.TaskGroup,
        running_max: int,
    ) -> None:
        self._store = store
        self._audit = audit
        self._recorder = recorder
        self._roster = roster
        self._reliance = reliance
        self._clock = clock
        self._signatory = signatory
        self._pace = pace
        self._observer = observer
        self._tasks = tasks
        self._running: dict[str, asyncio.Task[Exchange | GatewayError]] = {}
        self._running_max = running_max
        self._advancing = Advancing(store, recorder)
        self._waiting = Waiting(store=store, clock=clock)

    # --- from a bank ---------------------------------------------------------------------------------------

    async def ask(
        self,
        caller: Caller,
        request: DataRequest,
        idempotency: Idempotency,
        *,
        wait_seconds: float,
        patient: bool = False,
    ) -> Exchange:
        """Accept the request and start it; the exchange as it is after at most `wait_seconds`.

        A repeat with the same key gives the same exchange. When too many run, a `patient` request is accepted and left
        to the worker, another one gets Overloaded. Raises the refusals of `core.consent.check`.
        """
        if not self._audit.healthy():
            raise AuditUnavailable()
        busy = len(self._running) >= self._running_max
        if busy and not patient:
            raise Overloaded(retry_after_seconds=1)
        grant = caller.grant(request.consent_id)
        # Not the time of arrival: the body may have come slowly, and the consent must be live and the lease whole now.
        now = self._clock.now()

        # One transaction: the consent's check, its approval by this token, the use's reservation, the exchange and its
        # idempotency key. kill -9 before its commit leaves nothing; after it, an exchange that is due when its lease
        # ends, and the client's repeat finds it.
        consented: list[Consented] = []
        flush: list[bool] = []

        def decide(consent: Consent | None) -> ExchangeStep:
            if grant is None:
                if consent is None or consent.consumer_id != caller.participant.participant_id:
                    raise ConsentNotFound()
                raise ConsentScopeExceeded("The access token carries no permission for this consent")
            approved = None
            if consent is not None and consent.consumer_id == caller.participant.participant_id:
                approved = validated(consent, grant, caller, now=now)
            proof = rules.check(
                approved.consent if approved else consent, grant, request, caller.participant, now=int(now)
            )
            exchange = self._opened(caller, request, now)
            step = ExchangeStep(exchange=exchange, consent=steps.reserved(proof.consent))
            if self._roster.platform_of(request.document.issuer_id) is None:
                step = steps.not_served(exchange, step.consent, now)
            else:
                consented[:] = [proof]
            if approved is not None:
                step = replace(step, notices=approved.notices + step.notices, records=approved.records + step.records)
            flush.append(bool(step.records))
            return step

        accepted = await self._store.accept(
            request.consent_id, idempotency, lease_until=0.0 if busy else now + self._pace.lease, decide=decide
        )
        exchange = accepted.exchange
        if accepted.replayed:
            return await self.await_final(exchange, wait_seconds)
        if flush[-1]:
            await self._recorder.flush()
        if busy or exchange.status not in lifecycle.OPEN_EXCHANGE:
            return await self.await_final(exchange, wait_seconds)
        # When all this took longer than the lease, the worker has started it already.
        task = self._running.get(exchange.exchange_id) or self._start(exchange, consented[0], caller.trace)
        return await self._after(task, exchange, wait_seconds)

    async def await_final(self, exchange: Exchange, wait_seconds: float) -> Exchange:
        """See `Waiting.final`."""
        return await self._waiting.final(exchange, wait_seconds)

    # --- from the worker -----------------------------------------------------------------------------------

    async def resume_due(self, limit: int) -> int:
        """Take up to `limit` due exchanges under lease and start them; how many."""
        free = min(limit, self._running_max - len(self._running))
        if free <= 0 or not self._audit.healthy():
            return 0
        now = self._clock.now()
        due = await self._store.claim_due(now=now, lease_until=now + self._pace.lease, limit=free)
        for exchange in due:
            if exchange.exchange_id not in self._running:
                self._start(exchange, None, None)
        return len(due)

    def end_waits(self) -> None:
        """See `Waiting.end`. Steps that run go on, and who waits for one still gets what it brings."""
        self._waiting.end()

    async def finish_running(self, timeout_seconds: float) -> bool:
        """Wait for what runs. False when time was up: the rest is stopped where it is, as by a crash, and another
        process goes on when its lease ends."""
        if not self._running:
            return True
        _, pending = await asyncio.wait(set(self._running.values()), timeout=timeout_seconds)
        for task in pending:
            task.cancel()
        return not pending

    @property
    def running(self) -> int:
        return len(self._running)

    # --- one step ------------------------------------------------------------------------------------------

    def _opened(self, caller: Caller, request: DataRequest, now: float) -> Exchange:
        return Exchange(
            exchange_id=new_id(now),
            request_id=new_id(now),
            consumer_id=caller.participant.participant_id,
            consent_id=request.consent_id,
            scope=request.scope,
            purpose=request.purpose,
            document=request.document,
            status=ExchangeStatus.PENDING,
            interaction=caller.interaction,
            client_id=caller.token.client_id,
            certificate=caller.certificate.sha256,
            created_at=int(now),
            updated_at=int(now),
            deadline_at=int(now + self._pace.deadline),
            next_attempt_at=now,
        )

    def _start(
        self, exchange: Exchange, consented: Consented | None, trace: TraceContext | None
    ) -> asyncio.Task[Exchange | GatewayError]:
        task = self._tasks.create_task(self._run(exchange, consented, trace))
        self._running[exchange.exchange_id] = task
        return task

    async def _run(
        self, exchange: Exchange, consented: Consented | None, trace: TraceContext | None
    ) -> Exchange | GatewayError:
        """One step of one exchange; errors are values here, since the group's other tasks must go on."""
        try:
            return await self._step(exchange, consented, trace)
        except GatewayError as refused:
            self._observer.failed(refused, exchange.exchange_id)
            return refused
        except Exception as error:  # the boundary of a task: the lease ends, and the worker tries again
            self._observer.failed(error, exchange.exchange_id)
            return await self._broken(exchange)
        finally:
            del self._running[exchange.exchange_id]
            self._waiting.wake(exchange.exchange_id)

    async def _broken(self, exchange: Exchange) -> Exchange | GatewayError:
        """A step that fails by our own fault may fail each time: at the deadline the use is given back all the same."""
        now = self._clock.now()
        if now < exchange.deadline_at:
            return Internal()
        last = exchange.verdict or _timed_out(now)
        try:
            return await self._advancing.save(exchange, lambda current: steps.give_up(exchange, current, last, now))
        except Exception as error:  # still in the task's boundary
            self._observer.failed(error, exchange.exchange_id)
            return Internal()

    async def _step(self, exchange: Exchange, consented: Consented | None, trace: TraceContext | None) -> Exchange:
        platform = self._roster.platform_of(exchange.document.issuer_id)
        if platform is None:
            now = self._clock.now()
            return await self._advancing.save(exchange, lambda consent: steps.not_served(exchange, consent, now))
        if consented is None:
            now = self._clock.now()
            consent = await self._store.consent(exchange.consent_id)
            try:
                consented = rules.recheck(consent, exchange, now=int(now))
            except GatewayError as ended:
                refused = ended
                return await self._advancing.save(
                    exchange, lambda current: steps.refuse_consent(exchange, current, refused, now)
                )
            if now >= exchange.deadline_at and exchange.attempts > 0:
                last = exchange.verdict or _timed_out(now)
                return await self._advancing.save(exchange, lambda current: steps.give_up(exchange, current, last, now))
        if exchange.attempts == 0:
            # The intent is durable before the question. kill -9 behind it: an intent without outcome; the worker asks
            # with the same request id when the lease ends, and the intent stands twice for one request id.
            await self._audit.append([statements.intended(exchange, consented, self._clock.now())])
        return await self._ask(exchange, consented, platform, trace)

    async def _ask(
        self, exchange: Exchange, consented: Consented, platform: Platform, trace: TraceContext | None
    ) -> Exchange:
        began = self._clock.monotonic()
        asked = question(consented, request_id=exchange.request_id)
        answer = await platform.ask(asked, trace=trace, deadline_seconds=self._pace.question)
        took = self._clock.monotonic() - began
        self._observer.asked(took)
        now = self._clock.now()
        verdict = judge(asked, answer, self._roster.view.trust[platform.platform_id], now=int(now))
        if verdict.alarm:
            self._observer.alarm((verdict.reason or verdict.outcome).value, exchange.exchange_id)
        self._observer.verified(exchange.scope.document_type, verdict.outcome.value)
        if not verdict.outcome.final:
            if now >= exchange.deadline_at:
                asked_last = replace(exchange, attempts=exchange.attempts + 1)
                return await self._advancing.save(
                    exchange, lambda current: steps.give_up(asked_last, current, verdict, now)
                )
            pause = self._pace.pause(exchange.attempts)
            # kill -9 before this commit: the lease ends and the question is put again with the same request id.
            return await self._advancing.save(
                exchange, lambda _: steps.ask_again(exchange, verdict, pause_seconds=pause, now=now)
            )
        report = self._signatory.report(exchange, verdict, now)
        # The outcome is durable before anyone can read it. kill -9 behind it: the exchange is still open, the worker
        # asks again with the same request id and records the outcome again; the use is committed once, below, with the
        # receipt that names the record of that try.
        decided = statements.decided(exchange, consented, verdict, now, took_seconds=took)
        (at,) = await self._audit.append([decided])
        receipt = self._signatory.receipt(exchange, consented.consent, verdict, now, recorded=decided, at=at)
        response_id = new_id(now)
        saved = await self._advancing.save(
            exchange,
            lambda current: steps.deliver(
                exchange,
                current,
                verdict=verdict,
                report=report,
                receipt=receipt,
                response_id=response_id,
                now=now,
            ),
        )
        if verdict.outcome is Outcome.MATCH and verdict.evidence is not None:
            await self._reliance.delivered(verdict.evidence.evidence_id)
        return saved

    # --- waiting -------------------------------------------------------------------------------------------

    async def _after(
        self, task: asyncio.Task[Exchange | GatewayError], exchange: Exchange, wait_seconds: float
    ) -> Exchange:
        if wait_seconds <= 0:
            return exchange
        until = self._clock.monotonic() + wait_seconds
        # A client that goes away must not end the flow: the task is the group's, the wait is only a look at it.
        await asyncio.wait({task}, timeout=wait_seconds)
        if not task.done() or task.cancelled():
            return exchange
        result = task.result()
        if isinstance(result, GatewayError):
            raise result
        return await self.await_final(result, until - self._clock.monotonic())


def _timed_out(now: float) -> Verdict:
    return Verdict(outcome=Outcome.INDETERMINATE, reason=Reason.TIMEOUT, checked_at=int(now))
