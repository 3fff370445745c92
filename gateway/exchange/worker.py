"""What goes on without being asked: due exchanges, expired consents, the outbox, counts of refusals.

Any process may run it: exchanges by lease, consents by the locked row. One round that fails is logged and the next
one tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.audit.record import Actor
from gateway.exchange.admission import Refusals
from gateway.exchange.consents import Consents
from gateway.exchange.recording import Recorder, record
from gateway.exchange.reliance import Reliance
from gateway.exchange.verification import Verifications
from gateway.pausing import pause
from gateway.ports import AuditLog, AuthorizationStore, Clock

REFUSALS_INTERVAL_SECONDS = 60.0
SWEEP_INTERVAL_SECONDS = 10.0
SWEEP_ROWS = 500


class Worker:
    def __init__(
        self,
        *,
        verifications: Verifications,
        consents: Consents,
        state: AuthorizationStore,
        recorder: Recorder,
        reliance: Reliance,
        refusals: Refusals,
        audit: AuditLog,
        clock: Clock,
        interval_seconds: float,
        batch_max: int,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._verifications = verifications
        self._consents = consents
        self._state = state
        self._recorder = recorder
        self._reliance = reliance
        self._refusals = refusals
        self._audit = audit
        self._clock = clock
        self._interval = interval_seconds
        self._batch = batch_max
        self._failed = failed
        self._counted_at = clock.monotonic()
        self._swept_at = clock.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until `stop`. Returns after the round that is under way."""
        while not stop.is_set():
            try:
                taken = await self.round()
            except Exception as error:  # the boundary of the loop: the next round tries again
                self._failed(error)
                taken = 0
            if taken < self._batch:
                await pause(stop, self._interval)

    async def round(self) -> int:
        """One look at everything; the number of exchanges that were taken."""
        chores = (
            self._recorder.flush,
            self._consents.expire_due,
            self._reliance.tell_owed,
            self._count_refusals,
            self._sweep,
        )
        for chore in chores:
            try:
                await chore()
            except Exception as error:  # what one chore cannot do must not keep the others from theirs
                self._failed(error)
        return await self._verifications.resume_due(self._batch)

    async def _sweep(self) -> None:
        """What the authorization server has no use for any more. Full batches follow each other round by round."""
        if self._clock.monotonic() - self._swept_at >= SWEEP_INTERVAL_SECONDS:
            swept = await self._state.sweep(now=self._clock.now(), limit=SWEEP_ROWS)
            if swept < SWEEP_ROWS:
                self._swept_at = self._clock.monotonic()

    async def _count_refusals(self) -> None:
        if self._clock.monotonic() - self._counted_at >= REFUSALS_INTERVAL_SECONDS:
            await self.write_refusals()

    async def write_refusals(self) -> None:
        """Counts of refusals since the last time, one record for each participant and code."""
        self._counted_at = self._clock.monotonic()
        now = self._clock.now()
        counts = self._refusals.counts()
        if counts:
            await self._audit.append(
                [
                    record(
                        now,
                        "admission.refused",
                        actor=Actor(
                            participant=participant, role="unknown" if participant == "UNKNOWN" else "participant"
                        ),
                        reason=code,
                        count=count,
                    )
                    for (participant, code), count in sorted(counts.items())
                ]
            )
            # Only now: an append that failed leaves them for the next interval.
            self._refusals.forget(counts)
