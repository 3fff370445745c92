"""Asking over real mutual TLS: the honest way, every lie, every kind of trouble, and the limits on all of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web

from adapters.platforms.breaker import Breaker
from gateway.core.model import Reason
from gateway.core.verification import Answer, Silence
from gateway.ports import TraceContext
from gateway.profiles.dvp_v1.envelope import Envelope
from gateway.profiles.dvp_v1.messages import ack_body, answer_body
from tests.fakes_platform import (
    ANSWER,
    OWN_ID,
    PLATFORM_ID,
    UNKNOWN_YET,
    WRONG_REQUEST,
    Behaviour,
    StubPlatform,
    changed_byte,
    cut_in_the_body,
    dropped,
    foreign_signature,
    honest,
    lying,
    oversized_without_length,
    raw,
    refusing,
    replayed,
    running_stub,
    silent,
    status,
    trickling,
)
from tests.fakes_profiles import NOW, QUESTION, REQUEST_ID

UNTRUSTED = Silence(reason=Reason.ANSWER_UNTRUSTED, alarm=True)
UNAVAILABLE = Silence(reason=Reason.REGISTRY_UNAVAILABLE)
TIMEOUT = Silence(reason=Reason.TIMEOUT)
TRACE = TraceContext(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
async def stub() -> AsyncIterator[StubPlatform]:
    async with running_stub() as running:
        yield running


async def asked(stub: StubPlatform, **changes: object) -> Answer | Silence:
    async with stub.client(**changes) as platform:
        return await platform.ask(QUESTION, trace=None, deadline_seconds=30)


async def test_an_honest_answer_is_an_answer(stub: StubPlatform) -> None:
    assert await asked(stub) == ANSWER
    assert stub.results == [("VerificationRequest", "answered")]


async def test_the_question_is_what_the_contract_says(stub: StubPlatform) -> None:
    async with stub.client() as platform:
        await platform.ask(QUESTION, trace=TRACE, deadline_seconds=30)
    (message,), (headers,) = stub.received, stub.headers
    assert (message.sender, message.receiver, message.message_type) == (OWN_ID, PLATFORM_ID, "VerificationRequest")
    assert (message.issued_at, message.in_reply_to) == (NOW, None)
    assert message.body["requestId"] == REQUEST_ID
    assert headers["traceparent"] == TRACE.traceparent
    assert headers["Content-Type"] == headers["Accept"] == "application/jose"
    assert "Cookie" not in headers


async def test_every_message_has_its_own_id_and_nonce(stub: StubPlatform) -> None:
    async with stub.client() as platform:
        await asyncio.gather(*(platform.ask(QUESTION, trace=None, deadline_seconds=30) for _ in range(40)))
    ids = [uuid.UUID(message.message_id) for message in stub.received]
    assert {(one.version, one.variant) for one in ids} == {(4, uuid.RFC_4122)}
    assert len(set(ids)) == len({message.nonce for message in stub.received}) == 40


async def test_no_trace_is_made_up(stub: StubPlatform) -> None:
    await asked(stub)
    assert "traceparent" not in stub.headers[0]


async def test_an_acknowledgement_means_not_known_yet(stub: StubPlatform) -> None:
    stub.behaviour = lying(lambda stub, asked: stub.reply(asked, "Ack", ack_body()))
    answer = await asked(stub)
    assert isinstance(answer, Answer)
    assert (answer.outcome, answer.reason) == (UNKNOWN_YET.outcome, UNKNOWN_YET.reason)


LIES: dict[str, Behaviour] = {
    "signed by a stranger": foreign_signature,
    "one byte changed": changed_byte,
    "for another receiver": lying(lambda stub, asked: stub.result(asked, receiver="GATEWAY2")),
    "from another sender": lying(lambda stub, asked: stub.result(asked, sender="DVP00002")),
    "stale": lying(lambda stub, asked: stub.result(asked, issued_at=NOW - 200, expires_at=NOW - 61)),
    "from the future": lying(lambda stub, asked: stub.result(asked, issued_at=NOW + 61, expires_at=NOW + 90)),
    "valid for too long": lying(lambda stub, asked: stub.result(asked, expires_at=NOW + 301)),
    "of another version": lying(lambda stub, asked: stub.result(asked, version="2.0")),
    "in reply to another message": lying(lambda stub, asked: stub.result(asked, in_reply_to=REQUEST_ID)),
    "in reply to nothing": lying(lambda stub, asked: stub.result(asked, in_reply_to=None)),
    "about another request": lying(lambda stub, asked: stub.result(asked, body=WRONG_REQUEST)),
    "about another request, refused": lying(
        lambda stub, asked: stub.reply(
            asked, "ErrorResponse", {"code": "SOURCE_UNAVAILABLE", "retryable": False}, in_reply_to=REQUEST_ID
        )
    ),
    "of the wrong type": lying(lambda stub, asked: stub.reply(asked, "EvidenceRevocation", {})),
    "an echo of the question": lying(lambda stub, asked: stub.reply(asked, "VerificationRequest", asked.body)),
    "outside its schema": lying(
        lambda stub, asked: stub.result(asked, body=answer_body(ANSWER, request_id=REQUEST_ID) | {"extra": 1})
    ),
    "an unknown outcome": lying(
        lambda stub, asked: stub.result(asked, body=answer_body(ANSWER, request_id=REQUEST_ID) | {"outcome": "YES"})
    ),
    "not a JWS": raw(b"hello"),
    "empty": raw(b""),
    "JSON": raw(b'{"outcome":"MATCH"}', "application/json"),
    "a web page": raw(b"<html>", "text/html"),
    "binary": raw(bytes(range(256))),
    "too large": raw(b"a" * 65_537),
    "too large, of unknown length": oversized_without_length,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_an_alarm_and_no_verdict(stub: StubPlatform, lie: str) -> None:
    stub.behaviour = LIES[lie]
    assert await asked(stub) == UNTRUSTED
    assert len(stub.received) == 1  # and is not asked again
    assert stub.results == [("VerificationRequest", "untrusted")]


async def test_an_old_answer_played_again_is_not_believed(stub: StubPlatform) -> None:
    async with stub.client() as platform:
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == ANSWER
        stub.behaviour = replayed
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == UNTRUSTED


async def test_a_message_id_is_used_once(stub: StubPlatform) -> None:
    stub.behaviour = lying(lambda stub, asked: stub.result(asked, message_id=REQUEST_ID))
    async with stub.client() as platform:
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == ANSWER
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == UNTRUSTED


async def test_lies_do_not_open_the_breaker(stub: StubPlatform) -> None:
    stub.behaviour = foreign_signature
    async with stub.client(breaker=Breaker(failures_max=1, open_seconds=10)) as platform:
        for _ in range(3):
            assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == UNTRUSTED
        assert not platform.breaker_open()


@pytest.mark.parametrize(
    "trouble",
    [dropped, cut_in_the_body, status(429), status(502), status(503), status(504), refusing("BUSY", retryable=True)],
)
async def test_passing_trouble_is_asked_again_with_the_same_request_id(stub: StubPlatform, trouble: Behaviour) -> None:
    stub.script = [trouble, trouble]
    assert await asked(stub) == ANSWER
    assert [message.body["requestId"] for message in stub.received] == [REQUEST_ID] * 3
    assert len({message.message_id for message in stub.received}) == 3
    assert len({message.nonce for message in stub.received}) == 3


@pytest.mark.parametrize("trouble", [dropped, cut_in_the_body, status(503), refusing("BUSY", retryable=True)])
async def test_tries_are_counted(stub: StubPlatform, trouble: Behaviour) -> None:
    stub.behaviour = trouble
    assert await asked(stub) == UNAVAILABLE
    assert len(stub.received) == 3


@pytest.mark.parametrize("code", [301, 307, 400, 401, 403, 404, 413, 500, 501])
async def test_other_statuses_are_not_asked_again(stub: StubPlatform, code: int) -> None:
    stub.behaviour = status(code, Location="https://localhost:1/elsewhere")
    assert await asked(stub) == UNAVAILABLE
    assert len(stub.received) == 1


async def test_a_final_refusal_is_not_asked_again(stub: StubPlatform) -> None:
    stub.behaviour = refusing("NOT_ENTITLED", retryable=False)
    assert await asked(stub) == UNAVAILABLE
    assert len(stub.received) == 1
    assert stub.results == [("VerificationRequest", "refused")]


async def test_a_missing_source_is_told_apart(stub: StubPlatform) -> None:
    stub.behaviour = refusing("SOURCE_UNAVAILABLE", retryable=True)
    assert await asked(stub) == Silence(reason=Reason.SOURCE_UNAVAILABLE)
    assert len(stub.received) == 3


@pytest.mark.parametrize(
    "trouble", [status(503, **{"Retry-After": "31"}), refusing("BUSY", retryable=True, retry_after_seconds=31)]
)
async def test_a_pause_beyond_the_deadline_ends_the_asking(stub: StubPlatform, trouble: Behaviour) -> None:
    stub.behaviour = trouble
    assert await asked(stub) == UNAVAILABLE
    assert len(stub.received) == 1


@pytest.mark.parametrize("value", ["", "soon", "-1", "1e9", "999999", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_an_unreadable_retry_after_is_no_pause(stub: StubPlatform, value: str) -> None:
    stub.script = [status(503, **{"Retry-After": value})]
    assert await asked(stub) == ANSWER


@pytest.mark.parametrize("trouble", [silent, trickling])
async def test_a_try_that_hangs_is_cut_and_repeated(stub: StubPlatform, trouble: Behaviour) -> None:
    stub.script = [trouble]
    assert await asked(stub, attempt_seconds=0.2) == ANSWER
    assert stub.results == [("VerificationRequest", "timeout"), ("VerificationRequest", "answered")]


@pytest.mark.parametrize("trouble", [silent, trickling])
async def test_the_deadline_ends_everything(stub: StubPlatform, trouble: Behaviour) -> None:
    stub.behaviour = trouble
    async with stub.client() as platform:
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=0.2) == TIMEOUT
    assert await asked(stub, deadline_seconds=0.2) == TIMEOUT
    assert len(stub.received) == 2


async def test_nobody_listening_is_unavailable(stub: StubPlatform) -> None:
    assert await asked(stub, url="https://localhost:1") == UNAVAILABLE
    assert stub.results == [("VerificationRequest", "unavailable")] * 3


async def test_a_server_of_another_authority_is_not_asked(stub: StubPlatform) -> None:
    assert await asked(stub, ssl_context=stub.client_context(trust=trustme.CA())) == UNAVAILABLE
    assert stub.received == []
    assert len(stub.results) == 1


async def test_a_client_without_certificate_gets_nowhere(stub: StubPlatform) -> None:
    assert await asked(stub, ssl_context=stub.client_context(certificate=False)) == UNAVAILABLE
    assert stub.received == []


async def test_proxies_of_the_environment_are_not_used(stub: StubPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert await asked(stub) == ANSWER


async def test_the_breaker_opens_probes_and_closes(stub: StubPlatform) -> None:
    stub.behaviour = status(503)
    async with stub.client(breaker=Breaker(failures_max=3, open_seconds=10)) as platform:
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == UNAVAILABLE
        assert platform.breaker_open()
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == UNAVAILABLE
        assert len(stub.received) == 3  # held back
        stub.clock.advance(10)
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == UNAVAILABLE
        assert len(stub.received) == 4  # one probe, and no repeat of it
        stub.behaviour = honest
        stub.clock.advance(10)
        assert not platform.breaker_open()
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == ANSWER
        assert not platform.breaker_open()


async def test_only_one_probe_goes_through_a_half_open_breaker(stub: StubPlatform) -> None:
    stub.behaviour = status(500)
    async with stub.client(breaker=Breaker(failures_max=1, open_seconds=10)) as platform:
        await platform.ask(QUESTION, trace=None, deadline_seconds=30)
        stub.clock.advance(10)
        stub.arrived.clear()
        stub.behaviour = held
        async with asyncio.TaskGroup() as tasks:
            probe = tasks.create_task(platform.ask(QUESTION, trace=None, deadline_seconds=30))
            await stub.arrived.wait()
            assert platform.breaker_open()
            assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == UNAVAILABLE
            stub.released.set()
        assert probe.result() == ANSWER
        assert len(stub.received) == 2


async def held(stub: StubPlatform, request: web.Request, asked: Envelope) -> web.StreamResponse:
    await stub.released.wait()
    return await honest(stub, request, asked)


async def test_a_cancelled_probe_makes_place_for_the_next(stub: StubPlatform) -> None:
    stub.behaviour = status(500)
    async with stub.client(breaker=Breaker(failures_max=1, open_seconds=10)) as platform:
        await platform.ask(QUESTION, trace=None, deadline_seconds=30)
        stub.clock.advance(10)
        stub.arrived.clear()
        stub.behaviour = silent
        async with asyncio.TaskGroup() as tasks:
            probe = tasks.create_task(platform.ask(QUESTION, trace=None, deadline_seconds=30))
            await stub.arrived.wait()
            probe.cancel()
        stub.behaviour = honest
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == ANSWER


async def test_timeouts_of_whole_tries_open_the_breaker_and_short_deadlines_do_not(stub: StubPlatform) -> None:
    stub.behaviour = silent
    async with stub.client(breaker=Breaker(failures_max=1, open_seconds=10), attempt_seconds=0.2) as platform:
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=0.1) == TIMEOUT
        assert not platform.breaker_open()
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == TIMEOUT
        assert platform.breaker_open()


async def test_questions_beyond_the_limit_wait_for_a_place(stub: StubPlatform) -> None:
    stub.behaviour = held
    async with stub.client(concurrency_max=1) as platform, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(platform.ask(QUESTION, trace=None, deadline_seconds=30))
        await stub.arrived.wait()
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=0.05) == TIMEOUT
        second = tasks.create_task(platform.ask(QUESTION, trace=None, deadline_seconds=30))
        assert len(stub.received) == 1
        stub.released.set()
    assert (first.result(), second.result()) == (ANSWER, ANSWER)


async def test_many_questions_share_kept_connections(stub: StubPlatform) -> None:
    async with stub.client(concurrency_max=4) as platform:
        answers = await asyncio.gather(*(platform.ask(QUESTION, trace=None, deadline_seconds=30) for _ in range(40)))
    assert answers == [ANSWER] * 40
    assert len(stub.peers) <= 4


async def test_replaced_keys_count_at_once(stub: StubPlatform) -> None:
    async with stub.client() as platform:
        platform.keys = stub.stranger.keys()
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == UNTRUSTED
        stub.behaviour = foreign_signature
        assert await platform.ask(QUESTION, trace=None, deadline_seconds=30) == ANSWER
