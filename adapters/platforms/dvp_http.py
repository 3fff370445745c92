"""The DVP platform over HTTPS, profile `dvp/v1`: asks one question until there is an answer, or no more time.

Repeating a *question* is safe: it changes nothing there, and carries the same `requestId`. Every try is a message of
its own, with a fresh id and nonce. Trouble on the way becomes a `Silence`, and never says anything about a document.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapters.platforms.breaker import Breaker
from adapters.platforms.transport import HttpTransport, NoAnswer, NotAMessage
from gateway.core.model import Reason
from gateway.core.verification import Answer, Question, Silence
from gateway.ports import Clock, Signer, TraceContext
from gateway.profiles.dvp_v1.envelope import Envelope, EnvelopeError, seal, unseal
from gateway.profiles.dvp_v1.messages import Refusal, answer_from, question_body
from gateway.profiles.dvp_v1.signature import KeySet
from gateway.profiles.validation import Validators

MESSAGE = "VerificationRequest"
MESSAGE_LIFETIME_SECONDS = 120
ANSWERS_REMEMBERED_MAX = 10_000
SOURCE_UNAVAILABLE = "SOURCE_UNAVAILABLE"  # the one code of an ErrorResponse that says who is missing

_UNTRUSTED = Silence(reason=Reason.ANSWER_UNTRUSTED, alarm=True)
_UNAVAILABLE = Silence(reason=Reason.REGISTRY_UNAVAILABLE)
_TIMEOUT = Silence(reason=Reason.TIMEOUT)
_jitter = random.SystemRandom().uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """One try that brought no answer."""

    silence: Silence
    repeatable: bool = False
    pause_seconds: float = 0.0


class DvpHttpPlatform:
    """`ports.Platform`. `own_id` is the sender of questions and `platform_id` the sender of answers; `url` is the base.

    Limits: `deadline_seconds` for one question with all its tries and waits, `attempt_seconds` for one try,
    `attempts_max` tries; `concurrency_max` questions under way, others wait until their deadline; `answer_bytes_max`.
    `observe(message, seconds, result)` is called once per try, with a result of a bounded list: answered, refused,
    timeout, unavailable, untrusted.
    """

    def __init__(
        self,
        *,
        platform_id: str,
        own_id: str,
        url: str,
        ssl_context: ssl.SSLContext,
        signer: Signer,
        keys: KeySet,
        validators: Validators,
        clock: Clock,
        breaker: Breaker,
        deadline_seconds: float,
        attempt_seconds: float,
        attempts_max: int,
        concurrency_max: int,
        answer_bytes_max: int,
        observe: Callable[[str, float, str], None],
        pause_first_seconds: float = 0.1,
        pause_max_seconds: float = 2.0,
        user_agent: str = "cdi-dvp-gateway",
    ) -> None:
        self.platform_id = platform_id
        self.keys = keys
        """The platform's message keys; a reload replaces them."""
        self._own_id = own_id
        self._signer = signer
        self._validators = validators
        self._clock = clock
        self._breaker = breaker
        self._deadline_seconds = deadline_seconds
        self._attempt_seconds = attempt_seconds
        self._attempts_max = attempts_max
        self._answer_bytes_max = answer_bytes_max
        self._observe = observe
        self._pause_first_seconds = pause_first_seconds
        self._pause_max_seconds = pause_max_seconds
        self._slots = asyncio.Semaphore(concurrency_max)
        self._answers_seen: OrderedDict[str, None] = OrderedDict()
        self._transport = HttpTransport(
            url + "/dvp/v1/messages",
            ssl_context=ssl_context,
            connections_max=concurrency_max,
            answer_bytes_max=answer_bytes_max,
            user_agent=user_agent,
        )

    async def close(self) -> None:
        """Close all connections. Nothing may be asked afterwards."""
        await self._transport.close()

    def breaker_open(self) -> bool:
        return self._breaker.holds_back(self._clock.monotonic())

    async def ask(self, question: Question, *, trace: TraceContext | None, deadline_seconds: float) -> Answer | Silence:
        body = question_body(question)
        self._validators.assert_valid("dvp/v1/verification-request", body)
        deadline = asyncio.get_running_loop().time() + min(deadline_seconds, self._deadline_seconds)
        if self._slots.locked():
            try:
                async with asyncio.timeout_at(deadline):
                    await self._slots.acquire()
            except TimeoutError:
                return _TIMEOUT
        else:
            await self._slots.acquire()  # at once: a timer would cost more than it
        try:
            return await self._ask(question, body, trace, deadline)
        finally:
            self._slots.release()

    async def _ask(
        self, question: Question, body: dict[str, Any], trace: TraceContext | None, deadline: float
    ) -> Answer | Silence:
        silence = _UNAVAILABLE
        loop = asyncio.get_running_loop()
        for attempt in range(1, self._attempts_max + 1):
            permit = self._breaker.enter(self._clock.monotonic())
            if permit is None:
                break
            result = await self._try(question, body, trace, deadline, permit)
            if isinstance(result, Answer):
                return result
            silence = result.silence
            if not result.repeatable or attempt == self._attempts_max:
                break
            pause = max(self._pause(attempt), result.pause_seconds)
            if loop.time() + pause >= deadline:
                break  # the next try would begin too late: say now what is known now
            await asyncio.sleep(pause)
        return silence

    def _pause(self, attempt: int) -> float:
        """Full jitter: many gateways that failed together do not return together."""
        longest = min(self._pause_max_seconds, self._pause_first_seconds * 2 ** (attempt - 1))
        return _jitter(0.0, longest)

    async def _try(
        self, question: Question, body: dict[str, Any], trace: TraceContext | None, deadline: float, permit: int
    ) -> Answer | _Trouble:
        """One message and its answer. The permit is given back on every way out."""
        message = self._message(body)
        started = self._clock.monotonic()
        until = min(asyncio.get_running_loop().time() + self._attempt_seconds, deadline)
        result: Answer | _Trouble
        outcome = "unavailable"
        try:
            async with asyncio.timeout_at(until):
                data = await self._transport.post(seal(message, self._signer).encode(), trace)
            self._breaker.succeeded(permit)  # it is there, whatever it says
            outcome, result = self._judged(data, message, question)
        except TimeoutError:
            if until < deadline:
                self._breaker.failed(permit, self._clock.monotonic())
            else:
                self._breaker.abandoned(permit)  # our own deadline cut it short: says little about the platform
            outcome, result = "timeout", _Trouble(silence=_TIMEOUT, repeatable=True)
        except NoAnswer as trouble:
            self._breaker.failed(permit, self._clock.monotonic())
            result = _Trouble(silence=_UNAVAILABLE, repeatable=trouble.repeatable, pause_seconds=trouble.pause_seconds)
        except NotAMessage:
            self._breaker.succeeded(permit)
            outcome, result = "untrusted", _Trouble(silence=_UNTRUSTED)
        except BaseException:
            self._breaker.abandoned(permit)
            raise
        self._observe(MESSAGE, self._clock.monotonic() - started, outcome)
        return result

    def _message(self, body: dict[str, Any]) -> Envelope:
        now = int(self._clock.now())
        random_bytes = os.urandom(32)
        return Envelope(
            message_id=_uuid4(random_bytes[:16]),
            message_type=MESSAGE,
            sender=self._own_id,
            receiver=self.platform_id,
            issued_at=now,
            expires_at=now + MESSAGE_LIFETIME_SECONDS,
            nonce=random_bytes[16:].hex(),
            body=body,
        )

    def _judged(self, data: bytes, message: Envelope, question: Question) -> tuple[str, Answer | _Trouble]:
        try:
            envelope = unseal(
                data,
                keys=self.keys,
                sender=self.platform_id,
                receiver=self._own_id,
                now=self._clock.now(),
                validators=self._validators,
                bytes_max=self._answer_bytes_max,
            )
            answer = answer_from(envelope, asked=question, in_reply_to=message.message_id)
        except EnvelopeError:
            return "untrusted", _Trouble(silence=_UNTRUSTED)
        if not self._first_time(envelope.message_id):
            return "untrusted", _Trouble(silence=_UNTRUSTED)
        if isinstance(answer, Refusal):
            source = Silence(reason=Reason.SOURCE_UNAVAILABLE)
            return "refused", _Trouble(
                silence=source if answer.code == SOURCE_UNAVAILABLE else _UNAVAILABLE,
                repeatable=answer.retryable,
                pause_seconds=float(answer.retry_after_seconds or 0),
            )
        return "answered", answer

    def _first_time(self, message_id: str) -> bool:
        # An old answer fails by `inReplyTo` already; this refuses two new ones under one message id.
        if message_id in self._answers_seen:
            return False
        self._answers_seen[message_id] = None
        if len(self._answers_seen) > ANSWERS_REMEMBERED_MAX:
            self._answers_seen.popitem(last=False)
        return True


def _uuid4(random_bytes: bytes) -> str:
    """RFC 9562 §5.4, from 16 random bytes; a third of the cost of `uuid.uuid4`."""
    digits = random_bytes.hex()
    variant = "89ab"[random_bytes[8] >> 6]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
