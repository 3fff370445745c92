"""What every `ports.Platform` promises, asked of each adapter that implements it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import pytest

from adapters.platforms.breaker import Breaker
from adapters.platforms.memory import MemoryPlatform
from gateway.core.model import Reason
from gateway.core.verification import Answer, Silence
from gateway.ports import Platform, TraceContext
from tests.fakes_platform import ANSWER, PLATFORM_ID, honest, running_stub, status
from tests.fakes_profiles import QUESTION

TRACE = TraceContext(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@dataclass
class Subject:
    """An adapter, and how to take its outside world away and give it back."""

    platform: Platform
    outage: Callable[[], None]
    recovery: Callable[[], None]
    request_ids: Callable[[], list[str]]


@contextlib.asynccontextmanager
async def memory() -> AsyncIterator[Subject]:
    platform = MemoryPlatform(PLATFORM_ID, lambda _question: ANSWER)

    def outage() -> None:
        platform.answer = lambda _question: Silence(reason=Reason.REGISTRY_UNAVAILABLE)
        platform.held_back = True

    def recovery() -> None:
        platform.answer = lambda _question: ANSWER
        platform.held_back = False

    yield Subject(platform, outage, recovery, lambda: [question.request_id for question in platform.asked])


@contextlib.asynccontextmanager
async def dvp_http() -> AsyncIterator[Subject]:
    async with running_stub() as stub, stub.client(breaker=Breaker(failures_max=1, open_seconds=10)) as platform:

        def outage() -> None:
            stub.behaviour = status(503)

        def recovery() -> None:
            stub.behaviour = honest
            stub.clock.advance(10)

        yield Subject(platform, outage, recovery, lambda: [message.body["requestId"] for message in stub.received])


@pytest.fixture(params=[memory, dvp_http], ids=["memory", "dvp_http"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    opened: AbstractAsyncContextManager[Subject] = request.param()
    async with opened as made:
        yield made


async def test_it_is_named_by_its_participant_id(subject: Subject) -> None:
    assert subject.platform.platform_id == PLATFORM_ID


@pytest.mark.parametrize("trace", [None, TRACE])
async def test_a_question_gets_its_answer(subject: Subject, trace: TraceContext | None) -> None:
    answer = await subject.platform.ask(QUESTION, trace=trace, deadline_seconds=30)
    assert isinstance(answer, Answer)
    assert answer == ANSWER


async def test_asking_again_is_the_same_question(subject: Subject) -> None:
    for _ in range(2):
        await subject.platform.ask(QUESTION, trace=None, deadline_seconds=30)
    assert subject.request_ids() == [QUESTION.request_id] * 2


async def test_an_outage_is_a_silence_and_ends(subject: Subject) -> None:
    assert not subject.platform.breaker_open()
    subject.outage()
    silence = await subject.platform.ask(QUESTION, trace=None, deadline_seconds=30)
    assert silence == Silence(reason=Reason.REGISTRY_UNAVAILABLE)
    assert subject.platform.breaker_open()
    subject.recovery()
    assert not subject.platform.breaker_open()
    assert await subject.platform.ask(QUESTION, trace=None, deadline_seconds=30) == ANSWER
