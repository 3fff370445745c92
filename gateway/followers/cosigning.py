"""All witnesses asked at once for each checkpoint, and how long checkpoints have been without a quorum of them.

Beside the commit path: a witness that fails costs a publication its timeout, and then less and less. What is signed,
and when a checkpoint is published, is the publisher's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.audit.note import Checkpoint
from gateway.audit.published import WITNESSED
from gateway.audit.tree import Node
from gateway.errors import AuditUnavailable
from gateway.ports import Clock, Cosigned, NotCosigned, TileStore, Witness

PAUSE_FIRST_SECONDS = 0.5
PAUSE_SECONDS_MAX = 5.0


class Observer(Protocol):
    def witness_failed(self, witness: str, reason: str, *, conflict: bool, first: bool) -> None:
        """`first`: it did not fail like this the time before. `conflict`: see `ports.NotCosigned`."""

    def witness_broke(self, witness: str, error: Exception) -> None:
        """Asking it raised what it must not raise."""

    def witness_recovered(self, witness: str) -> None: ...

    def quorum_missed(self) -> None:
        """The first checkpoint without its witnesses after one that had them."""

    def quorum_reached(self) -> None:
        """The first with them, after some without."""

    def witnesses_forgotten(self, error: Exception) -> None:
        """The last checkpoint with a quorum could not be read or kept: the age that a restart finds may be wrong."""


@dataclass(slots=True, kw_only=True)
class _Standing:
    """How a witness has done lately. `failures`: in a row. `ask_at`: monotonic; not to be asked before."""

    witness: Witness
    failures: int = 0
    reason: str = ""
    ask_at: float = 0.0


class Cosigning:
    """See `ports.Cosigners`."""

    def __init__(
        self,
        witnesses: Sequence[Witness],
        *,
        quorum: int,
        timeout_seconds: float,
        store: TileStore,
        clock: Clock,
        observer: Observer,
    ) -> None:
        """`quorum` counts keys."""
        self._standings = [_Standing(witness=one) for one in witnesses]
        self._quorum = quorum
        self._timeout = timeout_seconds
        self._store, self._clock, self._observer = store, clock, observer
        self._missed_since: float | None = None  # monotonic
        self._newest: bytes | None = None  # the newest checkpoint with its quorum, with those lines
        self._text = ""  # of the checkpoint that was asked for last
        self._lines: dict[bytes, tuple[str, ...]] = {}  # on it, by key

    def lag_seconds(self) -> float:
        """How long the newest checkpoints have been without a quorum; 0 while they have one."""
        return 0.0 if self._missed_since is None else max(self._clock.monotonic() - self._missed_since, 0.0)

    def incomplete(self) -> bool:
        return self._missed_since is not None and bool(self._due())

    async def cosign(self, note: str, head: Checkpoint, node: Node) -> Sequence[str]:
        if head.text != self._text:
            self._text, self._lines = head.text, {}
        answers: list[tuple[_Standing, Cosigned | NotCosigned]] = []

        async def ask(standing: _Standing) -> None:
            try:
                answers.append((standing, await standing.witness.cosign(note, head, node)))
            except Exception as error:  # the boundary: what one witness breaks must not cost the others' answers
                self._observer.witness_broke(standing.witness.name, error)
                answers.append((standing, NotCosigned(reason="internal")))

        asked = self._due()
        try:
            async with asyncio.timeout(self._timeout), asyncio.TaskGroup() as group:
                for standing in asked:
                    group.create_task(ask(standing))
        except TimeoutError:
            late = [one for one in asked if all(one is not standing for standing, _ in answers)]
            answers += [(one, NotCosigned(reason="timeout")) for one in late]
        for standing, answer in answers:
            if isinstance(answer, Cosigned):
                self._well(standing)
                self._lines.setdefault(standing.witness.public, answer.lines)
            else:
                self._failed(standing, answer)
        lines = [line for each in self._lines.values() for line in each]
        await self._count(len(self._lines), (note + "".join(lines)).encode())
        return lines

    async def seen(self, checkpoint: bytes) -> None:
        if self._witnessed_at(checkpoint) is not None:
            self._newest, self._missed_since = checkpoint, None
        elif self._missed_since is None:
            before = self._newest or await self._recalled()
            at = self._witnessed_at(before) if before else None
            age = max(self._clock.now() - at, 0.0) if at is not None else 0.0
            self._missed_since = self._clock.monotonic() - age

    def _due(self) -> list[_Standing]:
        """Who did not cosign that checkpoint yet, and may be asked now."""
        now = self._clock.monotonic()
        return [one for one in self._standings if one.ask_at <= now and one.witness.public not in self._lines]

    async def _count(self, keys: int, cosigned: bytes) -> None:
        if keys >= self._quorum:
            if self._missed_since is not None:
                self._observer.quorum_reached()
            self._newest, self._missed_since = cosigned, None
        elif self._missed_since is None:
            self._missed_since = self._clock.monotonic()
            self._observer.quorum_missed()
            # The checkpoint that follows takes the place of the last one with a quorum: a restart finds it here. A
            # crash before this is durable leaves that one as `checkpoint`.
            if self._newest is not None:
                await self._keep(self._newest)

    def _well(self, standing: _Standing) -> None:
        if standing.failures:
            self._observer.witness_recovered(standing.witness.name)
        standing.failures, standing.reason, standing.ask_at = 0, "", 0.0

    def _failed(self, standing: _Standing, answer: NotCosigned) -> None:
        first = standing.reason != answer.reason
        standing.failures, standing.reason = standing.failures + 1, answer.reason
        pause = min(PAUSE_FIRST_SECONDS * 2 ** min(standing.failures - 1, 10), PAUSE_SECONDS_MAX)
        standing.ask_at = self._clock.monotonic() + pause
        self._observer.witness_failed(standing.witness.name, answer.reason, conflict=answer.conflict, first=first)

    def _witnessed_at(self, checkpoint: bytes) -> int | None:
        """When the quorum was complete, by the witnesses' clocks; None when it is not."""
        times: dict[bytes, int] = {}
        for standing in self._standings:
            time = standing.witness.attested(checkpoint)
            if time is not None:
                times[standing.witness.public] = time
        if len(times) < self._quorum:
            return None
        return sorted(times.values())[self._quorum - 1] if self._quorum else int(self._clock.now())

    async def _recalled(self) -> bytes | None:
        try:
            return await asyncio.to_thread(self._store.read, WITNESSED)
        except AuditUnavailable as error:
            self._observer.witnesses_forgotten(error)
            return None

    async def _keep(self, note: bytes) -> None:
        try:
            await asyncio.to_thread(self._store.write, [(WITNESSED, note)])
        except AuditUnavailable as error:
            self._observer.witnesses_forgotten(error)
