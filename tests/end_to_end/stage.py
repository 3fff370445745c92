"""A running sandbox as the end-to-end tests see it: its banks, connections of raw bytes, tokens of a test's own making.

Everything goes over real sockets to real processes; nothing here reaches into the gateway.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson
from cryptography.hazmat.primitives import hashes

import schemas
from adapters.sandbox.bank import CONSENTS, NOTICES, READ, Bank, Reply, authorization_detail
from adapters.sandbox.cast import CONSENT_SCOPE
from adapters.sandbox.credentials import TOKEN_KEY
from adapters.sandbox.pki import Authority, Issued, read_issued
from adapters.sandbox.serving import client_context
from adapters.sandbox.signing import KeySigner, base64url, write_jwks
from adapters.sandbox.world import World
from gateway.profiles.validation import Validators
from tests.end_to_end.world import running_world
from tests.fakes_edge import Client

VALIDATORS = Validators(schemas.load())
SOURCE = "SZCREDIT01DP"
DOCUMENT_TYPE = "CORPORATE_CREDIT_REPORT"
EXTERNAL = "https://issuer.example"  # an external issuer whose tokens speak for data owners; its key is the tests'
_EXTERNAL_KEY, _EXTERNAL_PLACE = "external-1", "external-issuer"
WAIT_SECONDS = 30  # for what must happen; a test that gets there has failed
_POLL_SECONDS = 0.02


class Stage:
    """Use as an async context manager, with a world that runs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.folder = world.folder
        self.bank_a = Bank(world.folder, world.description, "bank-a")
        self.bank_b = Bank(world.folder, world.description, "bank-b")
        self.source_hk = Bank(world.folder, world.description, "source-hk")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for bank in (self.bank_a, self.bank_b, self.source_hk):
            await self._stack.enter_async_context(bank)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def now(self) -> int:
        return int(self.world.clock.now())

    @property
    def sample(self) -> dict[str, Any]:
        """The sample document of SOURCE and DOCUMENT_TYPE: file, voucher, digests."""
        samples: list[dict[str, Any]] = self.world.description["samples"]
        return next(item for item in samples if (item["issuerId"], item["documentType"]) == (SOURCE, DOCUMENT_TYPE))

    # --- certificates and connections ----------------------------------------------------------------------

    def authority(self, name: str = "clients") -> Authority:
        """`clients`, `dvp` or `servers`."""
        certificate = {"clients": "client-ca", "dvp": "dvp-ca", "servers": "ca"}[name]
        return Authority.read(self.folder / f"pki/{certificate}.pem", self.folder / f"pki/private/{name}.key.pem")

    def written(self, name: str, issued: Issued) -> tuple[Path, Path]:
        """Certificate and key as files outside the world's folder."""
        folder = self.folder.parent / "certificates"
        files = folder / f"{name}.cert.pem", folder / f"{name}.key.pem"
        issued.write(*files)
        return files

    def context(self, files: tuple[Path, Path] | str | None = "bank-a") -> ssl.SSLContext:
        """How a client connects that trusts the sandbox: with these files, as this client, or without certificate."""
        if isinstance(files, str):
            files = self.folder / f"clients/{files}/cert.pem", self.folder / f"clients/{files}/key.pem"
        return client_context(self.folder / "pki/ca.pem", *(files or ()))

    @asynccontextmanager
    async def connection(self, context: ssl.SSLContext | None = None, port: int | None = None) -> AsyncIterator[Client]:
        """Raw bytes to the `bank` listener, as bank-a unless told otherwise."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port or self.world.ports.bank,
            ssl=context or self.context(),
            server_hostname="localhost",
        )
        client = Client(reader, writer)
        try:
            yield client
        finally:
            client.close()

    # --- tokens and consents -------------------------------------------------------------------------------

    async def machine_token(self, bank: Bank | None = None) -> str:
        return await (bank or self.bank_a).token(CONSENTS, READ, NOTICES)

    async def submitted(self, bank: Bank | None = None, **changes: Any) -> dict[str, Any]:
        """A new consent of this bank."""
        bank = bank or self.bank_a
        values = {
            "provider_id": SOURCE,
            "document_type": DOCUMENT_TYPE,
            "expire_time": self.now + 3_600,
            "token": await self.machine_token(bank),
        }
        reply = await bank.submit_consent(**(values | changes))
        assert reply.status == 201, reply.body
        consent: dict[str, Any] = reply.json
        return consent

    async def approved(self, bank: Bank | None = None, **changes: Any) -> tuple[dict[str, Any], str]:
        """A consent that its owner approved, and the bank's token for it."""
        bank = bank or self.bank_a
        consent = await self.submitted(bank, **changes)
        assert (await bank.approve(consent)).status == 201
        return consent, await bank.token(consent=consent)

    def claims(
        self, label: str = "bank-a", *, consent: Mapping[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        """What an issuer would write into a token for this client; None removes a claim. `iss` is the gateway itself:
        `EXTERNAL` is the one that approves consents by its tokens."""
        description = self.world.description
        claims = {
            "iss": description["issuer"]["issuer"],
            "aud": description["listeners"]["bank"],
            "sub": "subject-of-a-test",
            "client_id": description["clients"][label]["clientId"],
            "scope": CONSENT_SCOPE if consent is not None else f"{CONSENTS} {READ} {NOTICES}",
            "jti": str(uuid.uuid4()),
            "iat": self.now,
            "exp": self.now + 300,
            "cnf": {"x5t#S256": self.thumbprint(label)},
        }
        if consent is not None:
            claims["authorization_details"] = [authorization_detail(consent)]
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def minted(self, claims: Mapping[str, Any], **header: str) -> str:
        """A token signed by the gateway's own token key, or by that of the external issuer that it names."""
        if claims.get("iss") == EXTERNAL:
            signer = KeySigner.read(_EXTERNAL_KEY, self.folder / _EXTERNAL_PLACE / "key.pem")
        else:
            signer = KeySigner.read(TOKEN_KEY, self.folder / f"gateway/keys/{TOKEN_KEY}.pem")
        return signer.sign_jws({"typ": "at+jwt"} | header, orjson.dumps(claims))

    def thumbprint(self, label: str) -> str:
        """RFC 8705 §3.1."""
        issued = read_issued(self.folder / f"clients/{label}/cert.pem", self.folder / f"clients/{label}/key.pem")
        return base64url(issued.certificate.fingerprint(hashes.SHA256()))

    # --- the gateway process -------------------------------------------------------------------------------

    def log(self) -> bytes:
        """All that the gateway has written to its log."""
        return self.world.gateway.log_file.read_bytes()

    async def reload(self, *, done: bool = True) -> None:
        """SIGHUP; on return the files count, or were refused."""
        event = b'"reload.done"' if done else b'"reload.refused"'
        before = self.log().count(event)
        self.world.gateway.signal(signal.SIGHUP)
        await until(lambda: self.log().count(event) > before)

    async def metrics(self) -> bytes:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.world.ports.ops}/metrics") as answer,
        ):
            return await answer.read()


@asynccontextmanager
async def staged(folder: Path, settings: Mapping[str, Any]) -> AsyncIterator[Stage]:
    """A world of its own, in a folder that nobody else uses, that trusts an external issuer besides itself."""
    signer = KeySigner.create(_EXTERNAL_KEY)
    signer.write(folder / _EXTERNAL_PLACE / "key.pem")
    write_jwks(folder / _EXTERNAL_PLACE / "jwks.json", [signer])
    issuer = {"issuer": EXTERNAL, "jwks_file": f"{_EXTERNAL_PLACE}/jwks.json", "approves_consents": True}
    oauth = {"issuers": [issuer], **settings.get("oauth", {})}
    async with running_world(folder, settings={**settings, "oauth": oauth}) as world, Stage(world) as stage:
        yield stage


async def until(condition: Callable[[], bool]) -> None:
    """Wait for another process."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110  no event tells
            await asyncio.sleep(_POLL_SECONDS)


def request(method: str, target: str, *fields: str, body: bytes = b"", host: str = "localhost") -> bytes:
    """The bytes of one HTTP/1.1 request. With a body, its Content-Length."""
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, *length, "", ""]).encode() + body


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def check_problem(reply: Reply | Any, code: str | None = None) -> dict[str, Any]:
    """The answer is a problem as the API documents it; its JSON. `reply` is a Bank's or a raw one."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    problem: dict[str, Any] = orjson.loads(reply.body)
    assert code is None or problem["code"] == code, problem
    assert VALIDATORS.is_valid("cdi/v1/problem", problem), problem
    assert headers["content-type"].partition(";")[0] == "application/problem+json"
    assert problem["status"] == reply.status
    assert problem["type"] == "urn:cdi-gateway:error:" + problem["code"].lower().replace("_", "-")
    assert headers["x-fapi-interaction-id"] == problem["instance"]
    assert headers["cache-control"] == "no-store"
    if reply.status in {429, 503}:
        assert int(headers["retry-after"]) == problem["retryAfter"] >= 0
    assert ("www-authenticate" in headers) or reply.status != 401
    return problem
