"""The platform without a network does as it is told."""

from __future__ import annotations

from adapters.platforms.memory import MemoryPlatform
from gateway.core.model import Reason
from gateway.core.verification import Silence
from tests.fakes_platform import ANSWER, PLATFORM_ID
from tests.fakes_profiles import QUESTION


async def test_it_answers_what_it_is_told_and_remembers_what_it_was_asked() -> None:
    platform = MemoryPlatform(PLATFORM_ID, lambda _question: ANSWER)
    assert await platform.ask(QUESTION, trace=None, deadline_seconds=1) == ANSWER
    platform.answer = lambda _question: Silence(reason=Reason.TIMEOUT)
    assert await platform.ask(QUESTION, trace=None, deadline_seconds=1) == Silence(reason=Reason.TIMEOUT)
    assert platform.asked == [QUESTION, QUESTION]


def test_its_breaker_is_a_switch() -> None:
    platform = MemoryPlatform(PLATFORM_ID, lambda _question: ANSWER)
    assert not platform.breaker_open()
    platform.held_back = True
    assert platform.breaker_open()
