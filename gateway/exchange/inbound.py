"""What the platform says unasked: evidence was revoked. Banks that relied on it hear of it, exactly once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.core.model import EVIDENCE_REVOKED, Direction
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
        self._telling = asyncio.Lock()  # two messages about one evidence must not both find the same exchanges

    async def evidence_revoked(self, platform: Admitted, revocation: Revocation) -> int:
        """Notices for every delivered MATCH on this evidence that has none yet; how many there were.

        Durable on return. kill -9 in the middle: the platform has no acknowledgement and sends again under another
        message id; the exchanges that were told of it before are no longer among those that rely on it.
        """
        if not self._audit.healthy():
            raise AuditUnavailable()
        first = await self._replays.first_time(
            platform.participant.participant_id, revocation.message_id, expires_at=revocation.expires_at
        )
        if not first:
            raise ReplayDetected()
        now = self._clock.now()
        async with self._telling:
            relied = await self._tell(revocation.evidence_id, int(now))
        await self._audit.append(
            [
                record(
                    now,
                    "evidence.revoked",
                    actor=actor(platform.participant, platform.certificate),
                    direction=Direction.SOUTHBOUND,
                    interaction=platform.interaction,
                    evidence=revocation.evidence_id,
                    count=relied,
                )
            ]
        )
        return relied

    async def _tell(self, evidence_id: str, now: int) -> int:
        relied, after = 0, None
        while page := await self._exchanges.relying_on(evidence_id, after=after, limit=_PAGE):
            await self._notices.add_notices(
                [
                    NewNotice(
                        participant_id=exchange.consumer_id,
                        type=EVIDENCE_REVOKED,
                        time=now,
                        consent_id=exchange.consent_id,
                        exchange_id=exchange.exchange_id,
                        evidence_id=evidence_id,
                    )
                    for exchange in page
                ]
            )
            relied += len(page)
            after = page[-1].exchange_id
        return relied
