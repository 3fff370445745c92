"""A bank's consents: submit, read, revoke, expire. A private part comes in and never stays.

Approval comes by an external issuer's token here, by an Auth Code with the submission, or by the owner (`owned`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from gateway.audit.record import Record
from gateway.core import consent as rules
from gateway.core import lifecycle
from gateway.core.model import Approval, Consent, ConsentStatus, DataScope
from gateway.core.pseudonym import pseudonym
from gateway.errors import AuditUnavailable, NotFound, SchemaInvalid, Violation
from gateway.exchange.admission import Caller
from gateway.exchange.liveness import Liveness
from gateway.exchange.recording import Recorder, actor, record
from gateway.exchange.roster import Roster
from gateway.oauth.authcode import as_code
from gateway.oauth.grant import AuthCode
from gateway.ports import AuditLog, Clock, ConsentStep, ConsentStore, Idempotency, NewNotice

_EXPIRY_BATCH = 200

NOTICE_OF = {
    ConsentStatus.VALID: "CONSENT_VALID",
    ConsentStatus.REJECTED: "CONSENT_REJECTED",
    ConsentStatus.REVOKED: "CONSENT_REVOKED",
    ConsentStatus.EXPIRED: "CONSENT_EXPIRED",
    ConsentStatus.CONSUMED: "CONSENT_CONSUMED",
}
RECORD_OF = {
    ConsentStatus.SUBMITTED: "consent.submitted",
    ConsentStatus.VALID: "consent.validated",
    ConsentStatus.REJECTED: "consent.rejected",
    ConsentStatus.REVOKED: "consent.revoked",
    ConsentStatus.EXPIRED: "consent.expired",
    ConsentStatus.CONSUMED: "consent.consumed",
}


class Submission(Protocol):
    """A consent request as the wire profile parsed it."""

    @property
    def type(self) -> str: ...
    @property
    def provider_id(self) -> str: ...
    @property
    def scope(self) -> DataScope: ...
    @property
    def purpose(self) -> str: ...
    @property
    def expire_time(self) -> int: ...
    @property
    def max_uses(self) -> int: ...
    @property
    def private(self) -> dict[str, Any]: ...
    @property
    def hash_key(self) -> str | None: ...


class Consents:
    def __init__(
        self,
        *,
        store: ConsentStore,
        audit: AuditLog,
        recorder: Recorder,
        roster: Roster,
        clock: Clock,
        pseudonym_key: bytes,
        liveness: Liveness,
    ) -> None:
        self._store = store
        self._audit = audit
        self._recorder = recorder
        self._roster = roster
        self._clock = clock
        self._key = pseudonym_key
        self._liveness = liveness

    async def submit(
        self, caller: Caller, submission: Submission, idempotency: Idempotency
    ) -> tuple[Consent, str | None]:
        """The consent, and the secret that was made for it (None: the bank gave its own).

        What CDI has a reject code for becomes a rejected consent; an unknown provider is not kept at all.
        """
        provider = self._roster.view.registry.by_id(submission.provider_id)
        if provider is None:
            raise SchemaInvalid(
                violations=(Violation("/dataProviderId", "participant", "names no participant of this gateway"),)
            )
        private, made = self._with_secret(submission.private, idempotency)
        code = as_code(str(private.get("purposePrivate", "")))
        now = int(caller.now)
        submitted = Consent(
            consent_id=str(uuid.uuid4()),
            consumer_id=caller.participant.participant_id,
            consumer_name=caller.participant.name,
            provider_id=provider.participant_id,
            provider_name=provider.name,
            type=submission.type,
            scope=submission.scope,
            purpose=submission.purpose,
            hash_key=rules.hash_key(private),
            subject=pseudonym(self._key, "subject", str(private["dataOwnerId"])),
            status=ConsentStatus.SUBMITTED,
            expire_time=submission.expire_time,
            max_uses=submission.max_uses,
            created_at=now,
            updated_at=now,
        )
        reason = rules.rejection(submitted, caller.participant, provider, now=now)
        if submission.hash_key is not None and submission.hash_key != submitted.hash_key:
            reason = rules.INVALID_HASH_KEY

        def decide(approval: AuthCode | None) -> ConsentStep:
            step = ConsentStep(consent=submitted, records=(self._record(caller, submitted),))
            if reason is None and approval is None:
                return step  # no code, or a text that only looks like one
            if reason is None and approval is not None and approval.covers(submitted, now=caller.now):
                valid = rules.approved(submitted, Approval.AUTH_CODE, now=now)
                return self._next(step, caller, valid, spends=approval.code_hash)
            # A code stands for the owner's signature: one that is not good for this is not passed over in silence.
            status = lifecycle.step(lifecycle.CONSENT, submitted.status, ConsentStatus.REJECTED)
            return self._next(
                step, caller, replace(submitted, status=status, reject_code=reason or rules.INVALID_SIGNATURE)
            )

        self._require_audit()
        code_hash = auth_code_hash(self._key, code) if code is not None else None
        consent = await self._store.submit(decide, idempotency, auth_code=code_hash)
        await self._recorder.flush()
        return consent, made

    def _next(self, step: ConsentStep, caller: Caller, consent: Consent, *, spends: str | None = None) -> ConsentStep:
        return ConsentStep(
            consent=consent,
            records=(*step.records, self._record(caller, consent)),
            notices=(notice(consent, consent.updated_at),),
            spends=spends,
        )

    async def read(self, caller: Caller, consent_id: str) -> Consent:
        """Own consent. An approving token counts here as it does with a data request: banks poll for `ConsentValid`."""
        consent = await self._own(caller, consent_id)
        grant = caller.grant(consent_id)
        if grant is not None and consent.status is ConsentStatus.SUBMITTED and rules.approval(consent, grant):
            self._require_audit()
            consent = await self._store.change_consent(
                consent_id, lambda current: validated(current, grant, caller, now=caller.now)
            )
            await self._recorder.flush()
        return consent

    async def page(
        self, caller: Caller, *, status: ConsentStatus | None, after: str | None, limit: int
    ) -> Sequence[Consent]:
        """Own consents in order of creation. One more than a page tells whether another follows: ask `limit + 1`."""
        return await self._store.consents(caller.participant.participant_id, status=status, after=after, limit=limit)

    async def revoke(self, caller: Caller, consent_id: str, reason: str) -> Consent:
        """Ends the consent now, with its grants and tokens: by its bank, or by the source that it names. `reason` is a
        code. Raises StateConflict when it has ended before."""
        consent = await self._store.consent(consent_id)
        if consent is None or caller.participant.participant_id not in {consent.consumer_id, consent.provider_id}:
            raise NotFound()
        self._require_audit()
        now = int(self._clock.now())

        def decide(current: Consent) -> ConsentStep:
            revoked = rules.revoked(current, now=now)
            return ConsentStep(
                consent=revoked,
                notices=(notice(revoked, now, reason),),
                records=(self._record(caller, revoked, reason),),
            )

        consent = await self._store.change_consent(consent_id, decide)
        self._liveness.look_again()
        await self._recorder.flush()
        return consent

    async def expire_due(self) -> int:
        """Mark consents whose time has passed, with notice and record; how many. The worker calls it.

        Nothing depends on it being prompt: every check looks at the time itself.
        """
        now = self._clock.now()
        due = await self._store.expired_consents(now=int(now), limit=_EXPIRY_BATCH)

        def decide(current: Consent) -> ConsentStep | None:
            if current.status not in lifecycle.OPEN_CONSENT or current.expire_time > now:
                return None
            status = lifecycle.step(lifecycle.CONSENT, current.status, ConsentStatus.EXPIRED)
            expired = replace(current, status=status, updated_at=int(now))
            return ConsentStep(
                consent=expired,
                notices=(notice(expired, int(now)),),
                records=(record(now, RECORD_OF[status], consent=expired, counterparty=expired.consumer_id),),
            )

        for consent_id in due:
            await self._store.change_consent(consent_id, decide)
        if due:
            await self._recorder.flush()
        return len(due)

    async def _own(self, caller: Caller, consent_id: str) -> Consent:
        consent = await self._store.consent(consent_id)
        if consent is None or consent.consumer_id != caller.participant.participant_id:
            raise NotFound()
        return consent

    def _with_secret(self, private: dict[str, Any], idempotency: Idempotency) -> tuple[dict[str, Any], str | None]:
        """A missing secret is derived from the idempotency key and the body, so that a repeat of a request whose answer
        was lost gives the same secret, though it is kept nowhere."""
        if private.get("secret") is not None:
            return private, None
        made = pseudonym(self._key, "consent-secret", f"{idempotency.key} {idempotency.fingerprint}")[:32]
        return {**private, "secret": made}, made

    def _record(self, caller: Caller, consent: Consent, reason: str | None = None) -> Record:
        return consent_record(caller, consent, reason or consent.reject_code)

    def _require_audit(self) -> None:
        if not self._audit.healthy():
            raise AuditUnavailable()


def validated(current: Consent, grant: rules.Grant, caller: Caller, *, now: float) -> ConsentStep | None:
    """The submitted consent made valid by an approving token, or None where there is nothing to approve."""
    if (
        current.status is not ConsentStatus.SUBMITTED
        or current.expire_time <= now
        or not rules.approval(current, grant)
    ):
        return None
    valid = rules.approved(current, Approval.ISSUER, now=int(now))
    return ConsentStep(consent=valid, notices=(notice(valid, int(now)),), records=(consent_record(caller, valid),))


def auth_code_hash(key: bytes, code: str) -> str:
    """What is kept of an Auth Code. `key`: of the pseudonyms."""
    return pseudonym(key, "auth-code", code)


def consent_record(caller: Caller, consent: Consent, reason: str | None = None) -> Record:
    return record(
        caller.now,
        RECORD_OF[consent.status],
        actor=actor(caller.participant, caller.certificate, caller.token.client_id),
        counterparty=consent.provider_id,
        interaction=caller.interaction,
        consent=consent,
        reason=reason,
    )


def notice(consent: Consent, now: int, reason: str | None = None) -> NewNotice:
    """What the bank is told of a consent's new status. `reason`: a code."""
    return NewNotice(
        participant_id=consent.consumer_id,
        type=NOTICE_OF[consent.status],
        time=now,
        consent_id=consent.consent_id,
        detail=reason or consent.reject_code,
    )
