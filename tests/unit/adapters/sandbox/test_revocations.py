"""A gateway hears of a revocation until it has acknowledged it, over real mutual TLS, and then no more."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from adapters.sandbox.cast import GATEWAY_ID, PLATFORM_ID
from adapters.sandbox.serving import listening, server_context
from adapters.sandbox.signing import KeySigner
from gateway.profiles.dvp_v1 import envelope
from tests.fakes_sandbox import DOCUMENT, DOCUMENT_TYPE, ISSUER_ID, Site, message

ACK = {"code": "RECEIVED", "retryable": False}


class Listener:
    """A gateway's partner listener. `refusals`: how many messages it answers with an error first."""

    def __init__(self, site: Site, *, refusals: int = 0, signer: KeySigner | None = None) -> None:
        self.site, self.refusals = site, refusals
        self.signer = signer or site.gateway_signer
        self.received: asyncio.Queue[envelope.Envelope] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        received = self.site.opened(await request.read())
        await self.received.put(received)
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=503)
        answer = message("Ack", ACK, in_reply_to=received.message_id, message_id=str(uuid.uuid4()))
        return web.Response(body=envelope.seal(answer, self.signer).encode(), content_type="application/jose")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/dvp/v1/messages", self.take)
        tls = self.site.folder / "gateway/tls/server"
        context = server_context(tls / "cert.pem", tls / "key.pem", self.site.folder / "pki/dvp-ca.pem")
        async with listening([(app, self.site.ports.partner, context)]):
            yield


async def revoke(site: Site) -> str:
    async with site.platform() as control:
        receipt = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
        await control.revoke(receipt["evidenceId"], "FRAUD_SUSPECTED")
        return str(receipt["evidenceId"])


async def until_acknowledged(site: Site) -> None:
    file = site.folder / "platform/acknowledged.jsonl"
    async with asyncio.timeout(10):
        while not file.exists():  # noqa: ASYNC110  the platform's file, no event tells
            await asyncio.sleep(0.005)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_a_revocation_is_told_until_it_is_acknowledged(site: Site) -> None:
    listener = Listener(site, refusals=2)
    async with listener.open(), site.platform() as control:
        receipt = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
        await control.revoke(receipt["evidenceId"], "FRAUD_SUSPECTED")
        told = [await asyncio.wait_for(listener.received.get(), 10) for _ in range(3)]
        await until_acknowledged(site)
    assert {one.body["evidenceId"] for one in told} == {receipt["evidenceId"]}
    assert {(one.message_type, one.sender, one.receiver) for one in told} == {
        ("EvidenceRevocation", PLATFORM_ID, GATEWAY_ID)
    }
    assert len({one.message_id for one in told}) == 3


async def test_a_revocation_is_told_after_a_restart_and_not_again_when_acknowledged(site: Site) -> None:
    evidence_id = await revoke(site)  # nobody listens
    listener = Listener(site)
    async with listener.open():
        async with site.platform():
            told = await asyncio.wait_for(listener.received.get(), 10)
            await until_acknowledged(site)
        assert told.body == {
            "evidenceId": evidence_id,
            "reason": "FRAUD_SUSPECTED",
            "revokedAt": told.body["revokedAt"],
        }
        async with site.platform() as control:
            other = await control.issue(ISSUER_ID, DOCUMENT_TYPE, b"another document")
            await control.revoke(other["evidenceId"])
            told = await asyncio.wait_for(listener.received.get(), 10)
    assert told.body["evidenceId"] == other["evidenceId"]


async def test_a_forged_acknowledgement_does_not_count(site: Site) -> None:
    evidence_id = await revoke(site)
    forger = Listener(site, signer=KeySigner.create(site.gateway_signer.key_id))
    async with forger.open(), site.platform():
        told = [await asyncio.wait_for(forger.received.get(), 10) for _ in range(2)]
    assert [one.body["evidenceId"] for one in told] == [evidence_id, evidence_id]
    assert not (site.folder / "platform/acknowledged.jsonl").exists()
