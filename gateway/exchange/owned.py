"""What a data owner decides about a consent, and an operator on somebody's behalf. Who they are is proven before."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from gateway.audit.record import Actor
from gateway.core import consent as rules
from gateway.core.model import Approval, Consent
from gateway.errors import AuditUnavailable, NotFound
from gateway.exchange.consents import RECORD_OF, notice
from gateway.exchange.liveness import Liveness
from gateway.exchange.recording import Recorder, record
from gateway.ports import AuditLog, Clock, ConsentStep, ConsentStore

OWNER = Actor(participant="OWNER", role="owner")
"""The data owner in records, where their pseudonym is the entry's subject."""


class OwnedConsents:
    """Each act is durable with its record and the bank's notice, and on record in the log before it is answered."""

    def __init__(
        self, *, store: ConsentStore, audit: AuditLog, recorder: Recorder, clock: Clock, liveness: Liveness
    ) -> None:
        self._store = store
        self._audit = audit
        self._recorder = recorder
        self._clock = clock
        self._liveness = liveness

    async def read(self, consent_id: str, subject: str) -> Consent:
        """The owner's consent; others' do not exist (NotFound)."""
        consent = await self._store.consent(consent_id)
        if consent is None or not hmac.compare_digest(consent.subject, subject):
            raise NotFound()
        return consent

    async def approve(self, consent_id: str, subject: str, *, interaction: str) -> Consent:
        """The submitted consent is valid from now on. Raises StateConflict, ConsentExpired, NotFound."""
        await self.read(consent_id, subject)
        return await self._change(
            consent_id, lambda current, now: rules.approved(current, Approval.PAGE, now=now), OWNER, interaction
        )

    async def decline(self, consent_id: str, subject: str, *, interaction: str) -> Consent:
        """The submitted consent is rejected. Raises StateConflict, NotFound."""
        await self.read(consent_id, subject)
        return await self._change(consent_id, lambda current, now: rules.declined(current, now=now), OWNER, interaction)

    async def revoke(self, consent_id: str, subject: str, reason: str, *, interaction: str) -> Consent:
        """The owner takes it back. `reason`: a code. Raises StateConflict, NotFound."""
        await self.read(consent_id, subject)
        return await self.revoke_as(OWNER, consent_id, reason, interaction=interaction)

    async def revoke_as(self, actor: Actor, consent_id: str, reason: str, *, interaction: str | None = None) -> Consent:
        """Somebody who may ends it: an operator by order of its source or a court. Raises StateConflict,
        ConsentNotFound."""
        return await self._change(
            consent_id, lambda current, now: rules.revoked(current, now=now), actor, interaction, reason
        )

    async def _change(
        self,
        consent_id: str,
        rule: Callable[[Consent, int], Consent],
        actor: Actor,
        interaction: str | None,
        reason: str | None = None,
    ) -> Consent:
        if not self._audit.healthy():
            raise AuditUnavailable()
        now = self._clock.now()

        def decide(current: Consent) -> ConsentStep:
            following = rule(current, int(now))
            made = record(
                now,
                RECORD_OF[following.status],
                actor=actor,
                counterparty=following.consumer_id,
                interaction=interaction,
                consent=following,
                reason=reason or following.reject_code,
            )
            return ConsentStep(consent=following, notices=(notice(following, int(now), reason),), records=(made,))

        consent = await self._store.change_consent(consent_id, decide)
        self._liveness.look_again()
        await self._recorder.flush()
        return consent
