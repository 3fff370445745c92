"""A running sandbox as tests of trouble use it: documents, consents, questions, and waiting for a state in time.

Everything is real: processes, sockets, TLS, databases. Nothing here looks into the gateway but its log and metrics.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import orjson
import yaml

from adapters.sandbox.bank import CONSENTS, NOTICES, READ, Bank, Reply
from adapters.sandbox.serving import client_context
from adapters.sandbox.world import World
from gateway.core.digest import digests_of

OPEN = frozenset({"PENDING", "DataRequestApproved"})
ISSUER, DOCUMENT_TYPE = "SZCREDIT01DP", "CORPORATE_CREDIT_REPORT"
DAY_SECONDS = 86_400
POLL_SECONDS = 0.03

# A second here is what a minute is in production. The breaker stays out of the way of what is not about it.
QUICK: dict[str, Any] = {
    "exchange": {
        "deadline_seconds": 60,
        "retry_first_seconds": 0.2,
        "retry_max_seconds": 0.4,
        "lease_seconds": 3,
        "worker_interval_seconds": 0.05,
    },
    "platform": {
        "deadline_seconds": 2,
        "attempt_seconds": 0.8,
        "attempts_max": 2,
        "breaker": {"failures_max": 100_000, "open_seconds": 1},
    },
}

Found = TypeVar("Found")


async def eventually(look: Callable[[], Awaitable[Found | None]], *, seconds: float = 20) -> Found:
    """What `look` finds at last: anything but None and False. Raises TimeoutError when the deadline comes first."""
    async with asyncio.timeout(seconds):
        while (found := await look()) is None or found is False:  # noqa: ASYNC110  other processes, no event tells
            await asyncio.sleep(POLL_SECONDS)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A document, and what its source gave with it (`voucher`, `evidence_id`: None when nobody registered it)."""

    content: bytes
    voucher: str | None = None
    evidence_id: str | None = None

    @property
    def digests(self) -> list[dict[str, str]]:
        return digests(self.content)

    def changed(self) -> Issued:
        """Another document that is shown with this one's voucher."""
        return Issued(content=self.content + b"\x00", voucher=self.voucher)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A consent that its owner approved, and the token for it."""

    consent: Mapping[str, Any]
    token: str

    @property
    def consent_id(self) -> str:
        return str(self.consent["consentId"])


class Scene:
    """One test's view: a bank with fresh tokens in a world that may be shared."""

    def __init__(self, world: World, bank: Bank, token: str) -> None:
        self.world, self.bank, self.token = world, bank, token

    # --- documents and consents ------------------------------------------------------------------------------

    async def issued(self, *, anchored: bool = True) -> Issued:
        """A new document, registered by its source; on chain unless `anchored` is False."""
        content = f"credit report {uuid.uuid4()}".encode()
        receipt = await self.world.control.issue(ISSUER, DOCUMENT_TYPE, content)
        if anchored:
            await self.world.control.make_block()
        return Issued(content=content, voucher=receipt["voucher"], evidence_id=receipt["evidenceId"])

    def unregistered(self) -> Issued:
        return Issued(content=f"nobody issued {uuid.uuid4()}".encode())

    async def permission(self, *, max_uses: int = 1, bank: Bank | None = None) -> Permission:
        bank = bank or self.bank
        submitted = await bank.submit_consent(
            token=self.token,
            provider_id=ISSUER,
            document_type=DOCUMENT_TYPE,
            expire_time=int(self.world.clock.now()) + DAY_SECONDS,
            max_uses=max_uses,
        )
        assert submitted.status == 201, submitted.json
        approved = await bank.approve(submitted.json)
        assert approved.status == 201, approved.json
        return Permission(consent=submitted.json, token=await bank.token(consent=submitted.json))

    async def consent(self, permission: Permission) -> dict[str, Any]:
        """The consent as it is now."""
        reply = await self.bank.call("GET", f"/cdi/v1/consents/{permission.consent_id}", token=self.token)
        assert reply.status == 200, reply.json
        return dict(reply.json)

    async def used(self, permission: Permission) -> int:
        return int((await self.consent(permission))["usage"]["used"])

    # --- questions -------------------------------------------------------------------------------------------

    async def ask(
        self, permission: Permission, document: Issued, *, wait_seconds: int | None = None, key: str | None = None
    ) -> Reply:
        return await self.bank.ask(
            token=permission.token,
            consent=permission.consent,
            digests=document.digests,
            voucher=document.voucher,
            wait_seconds=wait_seconds,
            key=key,
        )

    async def data_request(self, request_id: str, *, wait_seconds: int | None = None) -> dict[str, Any]:
        reply = await self.bank.data_request(request_id, token=self.token, wait_seconds=wait_seconds)
        assert reply.status == 200, reply.json
        return dict(reply.json)

    async def judged(self, request_id: str) -> dict[str, Any]:
        """The data request once there is a verification on it, final or not."""

        async def look() -> dict[str, Any] | None:
            found = await self.data_request(request_id)
            return found if "verification" in found else None

        return await eventually(look)

    async def final(self, request_id: str) -> dict[str, Any]:
        """The data request once it is final."""
        async with asyncio.timeout(30):
            while (found := await self.data_request(request_id, wait_seconds=10))["status"] in OPEN:
                continue
        return found

    @contextmanager
    def frozen_platform(self) -> Iterator[None]:
        """The platform takes connections inside and says nothing; behind it, it answers what it was asked."""
        self.world.platform.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.world.platform.signal(signal.SIGCONT)

    # --- what others saw -------------------------------------------------------------------------------------

    async def journalled(self, document: Issued) -> list[dict[str, Any]]:
        """What the platform was asked about this document, by its own record, oldest first."""
        found: list[dict[str, Any]] = []
        after = 0
        while page := await self.world.control.journal(after):
            found += [entry for entry in page if entry["claims"].get("digests") == document.digests]
            after = page[-1]["sequence"]
        return found

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The gateway's log lines of this event, of all its runs."""
        lines = self.world.gateway.log_file.read_bytes().splitlines()
        parsed = [orjson.loads(line) for line in lines if line.startswith(b"{")]
        return [line for line in parsed if line["event"] == event]

    def audited(self) -> list[dict[str, Any]]:
        """All audit entries, oldest first."""
        with sqlite3.connect(f"file:{self.world.folder}/data/audit.db?mode=ro", uri=True) as connection:
            return [orjson.loads(row[0]) for row in connection.execute("SELECT entry FROM entries ORDER BY idx")]

    def lease_until(self, request_id: str) -> float:
        """When this process's right to advance the data request ends (Unix seconds)."""
        with sqlite3.connect(f"file:{self.world.folder}/data/gateway.db?mode=ro", uri=True) as connection:
            row = connection.execute(
                "SELECT lease_until FROM exchanges WHERE exchange_id = ?", (request_id,)
            ).fetchone()
            return float(row[0])

    async def ops(self, path: str) -> tuple[int, str]:
        """Status and body of the ops listener; 0 when nobody listens."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.world.ports.ops}{path}") as response,
            ):
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""

    async def metric(self, sample: str) -> float | None:
        """The value of one sample, named with its labels as Prometheus shows it."""
        _, text = await self.ops("/metrics")
        for line in text.splitlines():
            if line.startswith(f"{sample} "):
                return float(line.rpartition(" ")[2])
        return None


@asynccontextmanager
async def scene_in(world: World, label: str = "bank-a") -> AsyncIterator[Scene]:
    async with Bank(world.folder, world.description, label) as bank:
        yield Scene(world, bank, await bank.token(CONSENTS, READ, NOTICES))


@asynccontextmanager
async def configured(world: World, change: Mapping[str, Any]) -> AsyncIterator[None]:
    """The gateway with another configuration inside, restarted twice. `platform` is laid over the only platform."""
    file = world.folder / "gateway.yaml"
    before = file.read_bytes()
    await reconfigure(world, change)
    try:
        yield
    finally:
        await world.stop_gateway()
        file.write_bytes(before)
        await world.start_gateway()


async def reconfigure(world: World, change: Mapping[str, Any]) -> None:
    file = world.folder / "gateway.yaml"
    config = yaml.safe_load(file.read_bytes())
    await world.stop_gateway()
    for name, values in change.items():
        section = config["platforms"][0] if name == "platform" else config.setdefault(name, {})
        section.update(values)
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    await world.start_gateway()


def digests(content: bytes) -> list[dict[str, str]]:
    return [{"algorithm": one.algorithm.value, "value": one.value} for one in digests_of(content)]


def session_of(scene: Scene, label: str = "bank-a", *, sent: asyncio.Event | None = None) -> aiohttp.ClientSession:
    """A client's own connections; `sent` is set when the header of its first request is on the way."""
    folder = scene.world.folder
    certificate, key = folder / f"clients/{label}/cert.pem", folder / f"clients/{label}/key.pem"
    connector = aiohttp.TCPConnector(ssl=client_context(folder / "pki/ca.pem", certificate, key))
    watch = aiohttp.TraceConfig()

    async def note(*_: object) -> None:
        if sent is not None:
            sent.set()

    watch.on_request_headers_sent.append(note)
    return aiohttp.ClientSession(connector=connector, trace_configs=[watch])


class Upload:
    """A file of two halves on its way to `/cdi/v1/digests`: the second leaves when `finish` is called."""

    FIRST, SECOND = b"the first half, ", b"and the second"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._began, self._more = asyncio.Event(), asyncio.Event()

    async def send(self, session: aiohttp.ClientSession) -> None:
        """The whole of it. Fails when the answer is not that of the whole file."""
        headers = {"Content-Type": "application/octet-stream", "Authorization": f"Bearer {self._scene.token}"}
        url = f"{self._scene.bank.url}/cdi/v1/digests"
        async with session.post(url, data=self._halves(), headers=headers) as response:
            assert response.status == 200
            assert (await response.json())["digests"] == digests(self.FIRST + self.SECOND)

    async def under_way(self) -> None:
        """Returns when the gateway has begun to read it."""
        await self._began.wait()
        # What was sent before this request is read before this one is answered.
        await self._scene.bank.call("GET", "/cdi/v1/consents?limit=1", token=self._scene.token)

    def finish(self) -> None:
        self._more.set()

    async def _halves(self) -> AsyncIterator[bytes]:
        yield self.FIRST
        self._began.set()
        await self._more.wait()
        yield self.SECOND
