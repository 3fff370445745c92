"""What the platform says unasked: evidence was revoked. Banks that relied on it hear of it, exactly once."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.model import Direction
from gateway.errors import AuditUnavailable, ReplayDetected
from gateway.exchange.admission import Admitted
from gateway.exchange.recording import actor, record
from gateway.exchange.reliance import Reliance
from gateway.ports import AuditLog, Clock, Replays


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The body of `EvidenceRevocation`, of an authentic envelope."""

    message_id: str
    expires_at: float  # when the message would no longer be believed, tolerance for clocks included
    evidence_id: str
    revoked_at: int


class Inbound:
    def __init__(self, *, reliance: Reliance, audit: AuditLog, replays: Replays, clock: Clock) -> None:
        self._reliance = reliance
        self._audit = audit
        self._replays = replays
        self._clock = clock

    async def evidence_revoked(self, platform: Admitted, revocation: Revocation) -> int:
        """Notices for every delivered MATCH on this evidence that has none yet; how many there were.

        Recorded before anyone can read of it; durable on return. kill -9 in the middle: the platform has no
        acknowledgement and sends again under another message id, which is recorded again; the exchanges that were told
        before are no longer among those that rely on it.
        """
        if not self._audit.healthy():
            raise AuditUnavailable()
        first = await self._replays.first_time(
            platform.participant.participant_id, revocation.message_id, expires_at=revocation.expires_at
        )
        if not first:
            raise ReplayDetected()
        await self._audit.append(
            [
                record(
                    self._clock.now(),
                    "evidence.revoked",
                    actor=actor(platform.participant, platform.certificate),
                    direction=Direction.SOUTHBOUND,
                    interaction=platform.interaction,
                    evidence=revocation.evidence_id,
                )
            ]
        )
        return await self._reliance.revoked(revocation.evidence_id)
