"""Who relied on evidence that is revoked: each bank with a delivered MATCH is told once, whatever came first."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict

from gateway.core.model import EVIDENCE_REVOKED
from gateway.errors import GatewayError
from gateway.ports import Clock, ExchangeStore, NewNotice, NoticeStore

PAGE = 200
REMEMBERED_MAX = 10_000  # many times the evidence that is revoked while one question is under way


class Reliance:
    """`remembered_max`: revocations for which answers that are still under way are watched."""

    def __init__(
        self,
        *,
        exchanges: ExchangeStore,
        notices: NoticeStore,
        clock: Clock,
        remembered_max: int = REMEMBERED_MAX,
    ) -> None:
        self._exchanges = exchanges
        self._notices = notices
        self._clock = clock
        self._remembered_max = remembered_max
        self._revoked: OrderedDict[str, None] = OrderedDict()  # oldest first
        self._owed: set[str] = set()  # of the remembered ones: delivered on, and not told for want of the store
        self._telling = asyncio.Lock()  # two that tell of one evidence must not both find the same exchanges

    async def revoked(self, evidence_id: str) -> int:
        """Tell of it; how many exchanges relied on the evidence and had not been told. Durable on return."""
        # Remembered before the look at the store: an answer from before the revocation is either delivered by then and
        # found by the look, or finds this behind its delivery. A crash forgets it, and such answers with it.
        self._revoked[evidence_id] = None
        while len(self._revoked) > self._remembered_max:
            self._revoked.popitem(last=False)
        return await self._tell(evidence_id)

    async def delivered(self, evidence_id: str) -> None:
        """A MATCH on this evidence was delivered: its revocation may have come while the answer was on its way.

        The delivery stands, so a store that cannot be used now is no error of it: `tell_owed` tells later.
        """
        if evidence_id in self._revoked:
            self._owed.add(evidence_id)
            with contextlib.suppress(GatewayError):
                await self.tell_owed()

    async def tell_owed(self) -> None:
        """Tell what could not be told behind a delivery. The worker calls it."""
        for evidence_id in list(self._owed):
            await self._tell(evidence_id)
            self._owed.discard(evidence_id)

    async def _tell(self, evidence_id: str) -> int:
        relied, after, now = 0, None, int(self._clock.now())
        async with self._telling:
            while page := await self._exchanges.relying_on(evidence_id, after=after, limit=PAGE):
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
