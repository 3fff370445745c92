from __future__ import annotations

from typing import Any

import orjson
import pytest

import schemas
from gateway.profiles.dvp_v1 import envelope
from gateway.profiles.dvp_v1.envelope import Envelope, EnvelopeError, seal, unseal
from gateway.profiles.dvp_v1.signature import key_set
from tests.fakes_profiles import MESSAGE_ID, NOW, REQUEST_ID, KeySigner, validators, vectors

VECTORS = dict(vectors("envelope"))
SIGNER = KeySigner("dvp-1")
MESSAGE = Envelope(
    message_id=MESSAGE_ID,
    message_type="EvidenceStatusQuery",
    sender="HKGATEWAY01",
    receiver="DVPPLATFORM1",
    issued_at=NOW,
    expires_at=NOW + 120,
    nonce="bm9uY2Utbm9uY2UtMQ",
    in_reply_to=REQUEST_ID,
    body={"evidenceId": "EV-0001"},
)


def opened(vector: dict[str, Any]) -> Envelope:
    return unseal(
        vector["token"].encode(),
        keys=key_set(orjson.dumps(vector["keys"])),
        sender=vector["sender"],
        receiver=vector["receiver"],
        now=float(vector["now"]),
        validators=validators(),
    )


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if "claims" in vector["expected"]])
def test_authentic_message_is_opened(name: str) -> None:
    claims = VECTORS[name]["expected"]["claims"]
    message = opened(VECTORS[name])
    assert (message.message_id, message.message_type) == (claims["messageId"], claims["messageType"])
    assert (message.issued_at, message.expires_at) == (claims["issuedAt"], claims["expiresAt"])
    assert (message.nonce, message.in_reply_to, message.body) == (
        claims["nonce"],
        claims["inReplyTo"],
        claims["body"],
    )


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if "refused" in vector["expected"]])
def test_message_that_must_not_be_believed_is_refused(name: str) -> None:
    with pytest.raises(EnvelopeError) as refusal:
        opened(VECTORS[name])
    assert refusal.value.reason == VECTORS[name]["expected"]["refused"]
    assert str(refusal.value) == refusal.value.reason


def test_sealed_message_is_opened_by_its_receiver() -> None:
    for message in (MESSAGE, _without_reference()):
        token = seal(message, SIGNER).encode()
        assert (
            unseal(
                token,
                keys=SIGNER.keys(),
                sender="HKGATEWAY01",
                receiver="DVPPLATFORM1",
                now=float(NOW),
                validators=validators(),
            )
            == message
        )


def test_a_message_is_refused_from_the_moment_to_which_it_says_it_is_believed() -> None:
    def at(now: float) -> Envelope:
        return unseal(
            seal(MESSAGE, SIGNER).encode(),
            keys=SIGNER.keys(),
            sender="HKGATEWAY01",
            receiver="DVPPLATFORM1",
            now=now,
            validators=validators(),
        )

    assert at(MESSAGE.believed_until - 0.001) == MESSAGE
    with pytest.raises(EnvelopeError, match="STALE"):
        at(float(MESSAGE.believed_until))


def test_oversized_message_is_refused_unread() -> None:
    with pytest.raises(EnvelopeError, match="SIZE"):
        unseal(
            b"x" * 101,
            keys=SIGNER.keys(),
            sender="HKGATEWAY01",
            receiver="DVPPLATFORM1",
            now=float(NOW),
            validators=validators(),
            bytes_max=100,
        )


def test_every_message_type_has_its_schema() -> None:
    known = schemas.load()
    assert set(envelope.MESSAGE_SCHEMAS) == set(known["dvp/v1/envelope"]["properties"]["messageType"]["enum"])
    assert set(envelope.MESSAGE_SCHEMAS.values()) <= known.keys()


def _without_reference() -> Envelope:
    return Envelope(
        message_id=MESSAGE_ID,
        message_type="Ack",
        sender="HKGATEWAY01",
        receiver="DVPPLATFORM1",
        issued_at=NOW,
        expires_at=NOW + 300,
        nonce="bm9uY2Utbm9uY2UtMQ",
        body={"code": "ACCEPTED", "retryable": False},
    )
