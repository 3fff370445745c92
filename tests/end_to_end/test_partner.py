"""What the partner listener makes of messages that DVP's own certificate brings: believed, answered, or refused."""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

import schemas
from adapters.sandbox.cast import GATEWAY_ID, PLATFORM_ID
from adapters.sandbox.signing import KeySigner
from gateway.profiles.dvp_v1.envelope import Envelope, seal, unseal
from gateway.profiles.dvp_v1.signature import key_set
from gateway.profiles.validation import Validators
from tests.end_to_end.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
JOSE = {"Content-Type": "application/jose"}
VALIDATORS = Validators(schemas.load())


class Partner:
    """The platform's side: its certificate, its message key, and whatever it wants to say."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession) -> None:
        self.folder = stage.world.folder
        self.url = f"{stage.world.description['listeners']['partner']}/dvp/v1/messages"
        self.session = session
        self.signer = KeySigner.read("platform-messages-1", self.folder / "platform/keys/platform-messages-1.pem")

    def revocation(self) -> Envelope:
        now = int(time.time())
        return Envelope(
            message_id=str(uuid.uuid4()),
            message_type="EvidenceRevocation",
            sender=PLATFORM_ID,
            receiver=GATEWAY_ID,
            issued_at=now,
            expires_at=now + 120,
            nonce=uuid.uuid4().hex,
            body={"evidenceId": str(uuid.uuid4()), "reason": "OTHER", "revokedAt": now},
        )

    async def send(self, message: bytes | Envelope, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        data = message if isinstance(message, bytes) else seal(message, self.signer).encode()
        async with self.session.post(self.url, data=data, headers=headers or JOSE) as answer:
            return answer.status, await answer.read()

    async def refusal(self, message: bytes | Envelope, headers: dict[str, str] | None = None) -> tuple[int, str]:
        status, body = await self.send(message, headers)
        problem = orjson.loads(body)
        VALIDATORS.assert_valid("cdi/v1/problem", problem)
        return status, problem["code"]

    def opened(self, body: bytes) -> Envelope:
        """The gateway's answer, its signature checked."""
        keys = key_set((self.folder / "pki/gateway-messages-1.jwks.json").read_bytes())
        return unseal(body, keys=keys, sender=GATEWAY_ID, receiver=PLATFORM_ID, now=time.time(), validators=VALIDATORS)


def tls(folder: Any, cert: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "pki/ca.pem")
    context.load_cert_chain(folder / cert / "cert.pem", folder / cert / "key.pem")
    return context


@pytest_asyncio.fixture(loop_scope="session")
async def partner(stage: Stage) -> AsyncIterator[Partner]:
    connector = aiohttp.TCPConnector(ssl=tls(stage.world.folder, "platform/tls/client"))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Partner(stage, session)


async def test_an_authentic_revocation_is_acknowledged_with_a_signed_answer(partner: Partner) -> None:
    message = partner.revocation()
    status, body = await partner.send(message)
    answer = partner.opened(body)
    assert (status, answer.message_type, answer.in_reply_to) == (200, "Ack", message.message_id)


async def test_the_same_message_twice_is_a_replay(partner: Partner) -> None:
    message = partner.revocation()
    assert (await partner.send(message))[0] == 200
    assert await partner.refusal(message) == (409, "REPLAY_DETECTED")


async def test_a_message_past_its_time_that_is_still_believed_is_a_replay_when_it_comes_again(partner: Partner) -> None:
    message = partner.revocation()
    late = replace(message, issued_at=message.issued_at - 130, expires_at=message.issued_at - 10)
    assert (await partner.send(late))[0] == 200
    assert await partner.refusal(late) == (409, "REPLAY_DETECTED")


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": "SOMEONE01"},
        {"receiver": "SOMEONE01"},
        {"issued_at": 1_700_000_000, "expires_at": 1_700_000_100},
        {"issued_at": 4_000_000_000, "expires_at": 4_000_000_100},
        {"body": {"evidenceId": 7}},
        {"message_type": "Gossip"},
    ],
    ids=["sender", "receiver", "stale", "future", "body", "type"],
)
async def test_an_envelope_that_is_not_as_it_must_be_is_refused(partner: Partner, changes: dict[str, Any]) -> None:
    assert await partner.refusal(replace(partner.revocation(), **changes)) == (400, "SCHEMA_INVALID")


async def test_a_message_that_lives_too_long_is_refused(partner: Partner) -> None:
    message = partner.revocation()
    long_lived = replace(message, expires_at=message.issued_at + 301)
    assert await partner.refusal(long_lived) == (400, "SCHEMA_INVALID")


async def test_another_version_has_its_own_code(partner: Partner) -> None:
    message = replace(partner.revocation(), version="2.0")
    assert await partner.refusal(message) == (400, "SCHEMA_VERSION_UNSUPPORTED")


async def test_a_signature_of_another_key_is_refused(partner: Partner) -> None:
    partner.signer = KeySigner.create("platform-messages-1")
    assert await partner.refusal(partner.revocation()) == (400, "SCHEMA_INVALID")


async def test_any_changed_character_of_the_signature_is_refused(partner: Partner) -> None:
    token = seal(partner.revocation(), partner.signer)
    changed = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]
    assert await partner.refusal(changed.encode()) == (400, "SCHEMA_INVALID")


@pytest.mark.parametrize("body", [b"", b"no jws", b"a.b.c", b"{}", b"\xff" * 100, b"." * 1000])
async def test_what_is_no_message_is_refused(partner: Partner, body: bytes) -> None:
    assert await partner.refusal(body) == (400, "SCHEMA_INVALID")


async def test_another_media_type_and_a_large_body_are_refused(partner: Partner) -> None:
    assert await partner.refusal(b"{}", {"Content-Type": "application/json"}) == (415, "MEDIA_TYPE_UNSUPPORTED")
    assert await partner.refusal(b"x" * 1_000_000) == (413, "TOO_LARGE")


async def test_a_message_that_is_not_served_gets_a_signed_refusal(partner: Partner) -> None:
    message = replace(partner.revocation(), message_type="EvidenceStatusQuery", body={"evidenceId": str(uuid.uuid4())})
    status, body = await partner.send(message)
    answer = partner.opened(body)
    assert (status, answer.message_type) == (200, "ErrorResponse")
    assert answer.body == {"code": "DIRECTION_NOT_PERMITTED", "retryable": False}


async def test_a_banks_certificate_does_not_pass_the_partner_listener(stage: Stage) -> None:
    connector = aiohttp.TCPConnector(ssl=tls(stage.world.folder, "clients/bank-a"))
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientError):
            await Partner(stage, session).send(b"x")


async def test_the_gateways_own_certificate_is_no_platform(stage: Stage) -> None:
    connector = aiohttp.TCPConnector(ssl=tls(stage.world.folder, "gateway/tls/client"))
    async with aiohttp.ClientSession(connector=connector) as session:
        assert await Partner(stage, session).refusal(b"x") == (401, "CERT_UNKNOWN")
