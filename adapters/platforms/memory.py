"""A platform without a network: answers what it is told to. For tests of whatever asks through the port."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.verification import Answer, Question, Silence
from gateway.ports import TraceContext


class MemoryPlatform:
    """`ports.Platform`. `answer` may be replaced at any time; `asked` holds all questions in order."""

    def __init__(self, platform_id: str, answer: Callable[[Question], Answer | Silence]) -> None:
        self.platform_id = platform_id
        self.answer = answer
        self.asked: list[Question] = []
        self.held_back = False

    async def ask(
        self,
        question: Question,
        *,
        trace: TraceContext | None,  # noqa: ARG002 - the port's
        deadline_seconds: float,  # noqa: ARG002
    ) -> Answer | Silence:
        self.asked.append(question)
        return self.answer(question)

    def breaker_open(self) -> bool:
        return self.held_back
