"""What the platform says unasked: evidence was revoked. Banks that relied on it hear of it, exactly once."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.model import Direction
from gateway.errors import AuditUnavailable, ReplayDetected
from gateway.exchange.admission import Admitted
from gateway.exchange.recording import Recorder, actor, record
from gateway.ports import AuditLog, Clock, ExchangeStore, NewNotice, NoticeStore, Replays

_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The body of `EvidenceRevocation`, of an authentic envelope."""

    message_id: str
    expires_at: float
    evidence_id: str
    revoked_at: int


class Inbound:
    def __init__(
        self,
        *,
        exchanges: ExchangeStore,
        notices: NoticeStore,
        audit: AuditLog,
        recorder: Recorder,
        replays: Replays,
        clock: Clock,
    ) -> None:
        self._exchanges = exchanges
        self._notices = notices
        self._audit = audit
        self._recorder = recorder
        self._replays = replays
        self._clock = clock

    async def evidence_revoked(self, platform: Admitted, revocation: Revocation) -> int:
        """Notices for every delivered MATCH on this evidence; how many exchanges relied on it.

        Durable on return. kill -9 in the middle: the platform has no acknowledgement and sends again under another
        message id; a notice that is there already is not written twice (the store knows it by its exchange and
        evidence).
        """
        if not self._audit.healthy():
            raise AuditUnavailable()
        first = await self._replays.first_time(
            platform.participant.participant_id, revocation.message_id, expires_at=revocation.expires_at
        )
        if not first:
            raise ReplayDetected()
        now = self._clock.now()
        relied, after = 0, None
        while True:
            page = await self._exchanges.relying_on(revocation.evidence_id, after=after, limit=_PAGE)
            if page:
                await self._notices.add_notices(
                    [
                        NewNotice(
                            participant_id=exchange.consumer_id,
                            type="EVIDENCE_REVOKED",
                            time=int(now),
                            consent_id=exchange.consent_id,
                            exchange_id=exchange.exchange_id,
                            evidence_id=revocation.evidence_id,
                        )
                        for exchange in page
                    ]
                )
                relied += len(page)
                after = page[-1].exchange_id
            if len(page) < _PAGE:
                break
        await self._audit.append(
            [
                record(
                    now,
                    "evidence.revoked",
                    actor=actor(platform.participant, platform.certificate),
                    direction=Direction.SOUTHBOUND,
                    interaction=platform.interaction,
                    evidence=revocation.evidence_id,
                    attempts=relied,
                )
            ]
        )
        return relied
