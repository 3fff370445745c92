"""Honest envelopes pass the gateway's checks; each fault breaks exactly one of them."""

from __future__ import annotations

import pytest

from adapters.sandbox.cast import GATEWAY_ID, PLATFORM_ID
from adapters.sandbox.envelopes import Envelopes
from adapters.sandbox.faults import Mode
from adapters.sandbox.signing import KeySigner, jwks
from gateway.profiles.dvp_v1 import envelope
from gateway.profiles.dvp_v1.signature import key_set
from tests.fakes_sandbox import VALIDATORS, message

NOW = 1_800_000_000
SIGNER = KeySigner.create("platform-1")
KEYS = key_set(jwks([SIGNER]))
BODY = {"code": "RECEIVED", "retryable": False}


@pytest.fixture
def envelopes() -> Envelopes:
    return Envelopes(sender=PLATFORM_ID, signer=SIGNER, false_signer=KeySigner.create("platform-1"))


def opened(token: bytes) -> envelope.Envelope:
    return envelope.unseal(token, keys=KEYS, sender=PLATFORM_ID, receiver=GATEWAY_ID, now=NOW, validators=VALIDATORS)


def test_an_honest_reply_is_believed(envelopes: Envelopes) -> None:
    asked = message("Ack", BODY)
    reply = envelopes.reply(Mode.NONE, asked, "Ack", BODY, now=NOW)
    assert opened(reply.token).in_reply_to == asked.message_id
    assert (reply.status, reply.whole, reply.closed) == (200, True, False)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(Mode.WRONG_SIGNATURE, "SIGNATURE"), (Mode.STALE_ANSWER, "STALE"), (Mode.UNKNOWN_SENDER, "SENDER")],
)
def test_a_fault_is_the_one_it_says(envelopes: Envelopes, mode: Mode, reason: str) -> None:
    reply = envelopes.reply(mode, message("Ack", BODY), "Ack", BODY, now=NOW)
    with pytest.raises(envelope.EnvelopeError, match=reason):
        opened(reply.token)


@pytest.mark.parametrize("mode", [Mode.REPLAYED_ANSWER, Mode.DUPLICATE])
def test_without_an_answer_before_there_is_nothing_to_repeat(envelopes: Envelopes, mode: Mode) -> None:
    asked = message("Ack", BODY)
    reply = envelopes.reply(mode, asked, "Ack", BODY, now=NOW)
    assert opened(reply.token).in_reply_to == asked.message_id


def test_a_message_of_its_own_refers_to_nothing(envelopes: Envelopes) -> None:
    message_id, token = envelopes.seal("Ack", BODY, receiver=GATEWAY_ID, now=NOW)
    assert opened(token).message_id == message_id
    assert opened(token).in_reply_to is None
