"""Tells the gateways that evidence was revoked, again and again until each has acknowledged it.

What is still to be told follows from the ledger and from the file of acknowledgements: nothing is lost by a restart.
A gateway that never listens learns of the revocation when it asks the next time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from adapters.sandbox.envelopes import Envelopes
from adapters.sandbox.evidence import EvidenceBook
from adapters.sandbox.files import append_line, read_json_lines
from adapters.sandbox.ledger import Transaction
from gateway.ports import Clock
from gateway.profiles.dvp_v1 import envelope
from gateway.profiles.dvp_v1.signature import KeySet
from gateway.profiles.validation import Validators

_PAUSE_FIRST_SECONDS, _PAUSE_MAX_SECONDS = 0.2, 5.0
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_ANSWER_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Where a gateway listens for the platform, and the keys that sign its acknowledgements."""

    participant_id: str
    url: str
    keys: KeySet


class RevocationPush:
    def __init__(
        self,
        *,
        gateways: Sequence[Gateway],
        book: EvidenceBook,
        envelopes: Envelopes,
        acknowledged_file: Path,
        context: ssl.SSLContext,
        validators: Validators,
        clock: Clock,
    ) -> None:
        self._gateways, self._book, self._envelopes = gateways, book, envelopes
        self._file, self._context = acknowledged_file, context
        self._validators, self._clock = validators, clock
        self._acknowledged = {(line["gateway"], line["evidenceId"]) for line in read_json_lines(acknowledged_file)}
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Something was revoked."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        connector = aiohttp.TCPConnector(ssl=self._context)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
            pause = _PAUSE_FIRST_SECONDS
            while True:
                self._news.clear()
                due = self._due()
                told = [await self._tell(session, gateway, revocation) for gateway, revocation in due]
                pause = _PAUSE_FIRST_SECONDS if all(told) else min(2 * pause, _PAUSE_MAX_SECONDS)
                try:
                    async with asyncio.timeout(None if all(told) else pause):
                        await self._news.wait()
                except TimeoutError:
                    continue

    def _due(self) -> list[tuple[Gateway, Transaction]]:
        return [
            (gateway, revocation)
            for gateway in self._gateways
            for revocation in self._book.revocations
            if (gateway.participant_id, revocation["evidenceId"]) not in self._acknowledged
        ]

    async def _tell(self, session: aiohttp.ClientSession, gateway: Gateway, revocation: Transaction) -> bool:
        """One try, under a new message id. Whether it was acknowledged, which is durable on return."""
        body = {
            "evidenceId": revocation["evidenceId"],
            "reason": revocation["reason"],
            "revokedAt": revocation["at"],
        }
        now = self._clock.now()
        message_id, token = self._envelopes.seal(
            "EvidenceRevocation", body, receiver=gateway.participant_id, now=int(now)
        )
        try:
            async with session.post(
                f"{gateway.url}/dvp/v1/messages", data=token, headers={"Content-Type": "application/jose"}
            ) as response:
                answer = await response.content.read(_ANSWER_BYTES_MAX)
                if response.status != 200 or not self._is_acknowledgement(answer, gateway, message_id):
                    return False
        except (aiohttp.ClientError, TimeoutError):
            return False
        key = (gateway.participant_id, revocation["evidenceId"])
        append_line(self._file, orjson.dumps({"gateway": key[0], "evidenceId": key[1], "time": int(now)}))
        self._acknowledged.add(key)
        return True

    def _is_acknowledgement(self, answer: bytes, gateway: Gateway, message_id: str) -> bool:
        try:
            received = envelope.unseal(
                answer,
                keys=gateway.keys,
                sender=gateway.participant_id,
                receiver=self._envelopes.sender,
                now=self._clock.now(),
                validators=self._validators,
            )
        except envelope.EnvelopeError:
            return False
        return received.message_type == "Ack" and received.in_reply_to == message_id
