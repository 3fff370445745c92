"""A sandbox's other systems inside the test's own process, on real sockets, and a gateway's side of them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson

import schemas
from adapters.sandbox import identity_provider_server, platform_server, timestamp_server, witness_server
from adapters.sandbox.addresses import Ports
from adapters.sandbox.cast import CREDIT_SOURCE, GATEWAY_ID, PLATFORM_ID
from adapters.sandbox.clock import WallClock
from adapters.sandbox.configuration import Plan, write_configuration
from adapters.sandbox.control_client import ControlClient
from adapters.sandbox.credentials import GATEWAY_MESSAGE_KEY, PLATFORM_MESSAGE_KEY, Credentials
from adapters.sandbox.serving import client_context, listening
from adapters.sandbox.signing import KeySigner
from adapters.sandbox.timestamp_authority import openssl
from gateway.profiles.dvp_v1 import envelope
from gateway.profiles.dvp_v1.signature import key_set
from gateway.profiles.validation import Validators

CLOCK = WallClock()  # certificates are compared with the machine's time
SCHEMAS = schemas.load()
VALIDATORS = Validators(SCHEMAS)
DOCUMENT = b"%PDF-1.4 a corporate credit report"
DOCUMENT_TYPE = "CORPORATE_CREDIT_REPORT"
ISSUER_ID = CREDIT_SOURCE.participant_id


class Site:
    """A folder as `World` writes it, and its ports."""

    def __init__(self, folder: Path, *, block_seconds: float | None = 0) -> None:
        self.folder = folder
        self.ports = Ports.from_base(0)
        self.credentials = Credentials(folder, now=int(CLOCK.now()))
        plan = Plan(ports=self.ports, schemas=SCHEMAS, block_seconds=block_seconds, settings={}, openssl=openssl())
        write_configuration(folder, plan, self.credentials)

    def platform_config(self) -> dict[str, Any]:
        config: dict[str, Any] = orjson.loads((self.folder / "platform/platform.json").read_bytes())
        return config

    def login_config(self) -> dict[str, Any]:
        config: dict[str, Any] = orjson.loads((self.folder / "login/login.json").read_bytes())
        return config

    @property
    def gateway_signer(self) -> KeySigner:
        return KeySigner.read(GATEWAY_MESSAGE_KEY, self.folder / f"gateway/keys/{GATEWAY_MESSAGE_KEY}.pem")

    @property
    def platform_keys(self) -> Any:
        return key_set((self.folder / f"pki/{PLATFORM_MESSAGE_KEY}.jwks.json").read_bytes())

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[ControlClient]:
        """The running platform, by its control address."""
        sites, background = platform_server.assemble(self.platform_config(), self.folder / "platform")
        async with listening(sites), asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for work in background]
            async with ControlClient(f"http://127.0.0.1:{self.ports.control}") as control:
                yield control
            for task in tasks:
                task.cancel()

    @asynccontextmanager
    async def login(self) -> AsyncIterator[str]:
        """The running identity provider, by its issuer identifier."""
        async with listening(identity_provider_server.sites(self.login_config(), self.folder / "login")):
            yield f"https://localhost:{self.ports.login}"

    @asynccontextmanager
    async def witness(self) -> AsyncIterator[str]:
        """The running witness, by its submission prefix."""
        config = orjson.loads((self.folder / "witness/witness.json").read_bytes())
        async with listening(witness_server.sites(config, self.folder / "witness")):
            yield f"https://localhost:{self.ports.witness}"

    @asynccontextmanager
    async def timestamps(self) -> AsyncIterator[str]:
        """The running time-stamping authority, by its address. Needs the command openssl."""
        config = orjson.loads((self.folder / "timestamps/timestamps.json").read_bytes())
        async with listening(timestamp_server.sites(config, self.folder / "timestamps")):
            yield f"http://localhost:{self.ports.timestamp}{timestamp_server.PATH}"

    async def post(
        self, token: bytes | str, *, client: str = "gateway/tls/client", **headers: str
    ) -> tuple[int, bytes]:
        """Status and body of a message over mutual TLS with the certificate in this folder."""
        context = client_context(
            self.folder / "pki/dvp-ca.pem", self.folder / client / "cert.pem", self.folder / client / "key.pem"
        )
        url = f"https://localhost:{self.ports.platform}/dvp/v1/messages"
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                url, data=token, headers={"Content-Type": "application/jose", **headers}, ssl=context
            ) as response,
        ):
            return response.status, await response.read()

    async def exchange(self, message: envelope.Envelope, **headers: str) -> envelope.Envelope:
        """The platform's answer, checked as the gateway checks it. Raises EnvelopeError."""
        _, body = await self.post(envelope.seal(message, self.gateway_signer), **headers)
        return self.opened(body)

    def opened(self, body: bytes) -> envelope.Envelope:
        return envelope.unseal(
            body,
            keys=self.platform_keys,
            sender=PLATFORM_ID,
            receiver=GATEWAY_ID,
            now=CLOCK.now(),
            validators=VALIDATORS,
        )


def message(message_type: str, body: dict[str, Any], **claims: Any) -> envelope.Envelope:
    """A message of the gateway to the platform; `claims` replaces fields."""
    now = int(CLOCK.now())
    made = envelope.Envelope(
        message_id=str(uuid.uuid4()),
        message_type=message_type,
        sender=GATEWAY_ID,
        receiver=PLATFORM_ID,
        issued_at=now,
        expires_at=now + 60,
        nonce=uuid.uuid4().hex,
        body=body,
    )
    return replace(made, **claims)


def question(digests: list[dict[str, str]], voucher: str | None = None, **claims: Any) -> envelope.Envelope:
    body: dict[str, Any] = {
        "requestId": str(uuid.uuid4()),
        "documentType": DOCUMENT_TYPE,
        "issuerId": ISSUER_ID,
        "digests": digests,
        "consent": {"hashKey": "0" * 64, "purpose": "SME_LOAN_UNDERWRITING", "expireTime": 1_900_000_000},
        "requester": "BANKA01DC",
    }
    if voucher is not None:
        body["voucher"] = voucher
    return message("VerificationRequest", body, **claims)
