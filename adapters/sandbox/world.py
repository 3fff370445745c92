"""A whole sandbox: its folder, its processes, and `sandbox.json` when it is ready.

Started again in the same folder it is the same world: keys, ledger, approvals, consents and ports stay.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TextIO

import aiohttp
import orjson

from adapters.sandbox.addresses import Ports
from adapters.sandbox.cast import CLIENTS, OWNERS, PLATFORM_ID, PRIVATE_KEY_JWT, Client
from adapters.sandbox.children import Child, ChildFailed
from adapters.sandbox.clock import WallClock
from adapters.sandbox.commands import write_client_scripts
from adapters.sandbox.configuration import AUDIT_LOG, Plan, write_configuration
from adapters.sandbox.control_client import ControlClient
from adapters.sandbox.credentials import REPORT_KEY, Credentials, client_key, log_verifier_key, witness_verifier_key
from adapters.sandbox.files import write_public
from adapters.sandbox.identity_provider_server import DISCOVERY_PATH
from adapters.sandbox.samples import SAMPLES, write_samples
from adapters.sandbox.serving import client_context
from adapters.sandbox.timestamp_authority import openssl
from adapters.sandbox.timestamp_server import PATH as TIMESTAMP_PATH

DESCRIPTION_FILE = "sandbox.json"
_PORTS_FILE = "ports.json"
_READY_SECONDS = 60
_GRACE_SECONDS = 10
_ANCHORED_SECONDS = 30
_PROBE_TIMEOUT = aiohttp.ClientTimeout(total=2)
_POLL_SECONDS = 0.05


class WorldBusy(Exception):
    """Another sandbox runs in this folder."""


class World:
    """Use as an async context manager, or `start` and `stop`."""

    def __init__(
        self,
        folder: Path,
        *,
        schemas: Mapping[str, Any],
        port_base: int | None = None,
        block_seconds: float | None = 1.0,
        settings: Mapping[str, Any] = MappingProxyType({}),
        issue_samples: bool = True,
    ) -> None:
        """`schemas`: as `schemas.load()` gives them. `port_base`: None for the usual ports, 0 for free ones; a
        world that was started before keeps the ports that it had. `settings` is laid over gateway.yaml. Without
        `issue_samples` the sample documents are written, and nobody has registered them yet."""
        self.folder = folder.absolute()
        self.clock = WallClock()
        self.description: dict[str, Any] = {}
        self._schemas, self._port_base = schemas, port_base
        self._block_seconds, self._settings = block_seconds, settings
        self._issues_samples = issue_samples
        self._lock: TextIO | None = None
        self.control = ControlClient("")
        self.platform = self._child("platform", "adapters.sandbox.platform_server", "platform/platform.json")
        self.login = self._child("login", "adapters.sandbox.identity_provider_server", "login/login.json")
        """The OpenID provider where data owners sign in."""
        self.witness = self._child("witness", "adapters.sandbox.witness_server", "witness/witness.json")
        self.timestamps: Child | None = None
        """The time-stamping authority; None on a machine without the command `openssl`."""
        if openssl() is not None:
            self.timestamps = self._child(
                "timestamps", "adapters.sandbox.timestamp_server", "timestamps/timestamps.json"
            )
        self.migration = self._child("migration", "gateway", "gateway.yaml", "db", "upgrade")
        self.gateway = self._child("gateway", "gateway", "gateway.yaml", "serve")
        self.ports = Ports()

    @property
    def description_file(self) -> Path:
        return self.folder / DESCRIPTION_FILE

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Ready on return. Raises WorldBusy, PortsTaken, ChildFailed, SamplesUnavailable, OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self.description_file.unlink(missing_ok=True)
        now = int(self.clock.now())
        write_samples(self.folder, now=now)
        self.ports = self._kept_ports()
        self.ports.check_free()
        plan = Plan(
            ports=self.ports,
            schemas=self._schemas,
            block_seconds=self._block_seconds,
            settings=self._settings,
            openssl=openssl(),
        )
        write_configuration(self.folder, plan, Credentials(self.folder, now=now))
        self.control = await ControlClient(f"http://127.0.0.1:{self.ports.control}").__aenter__()
        for child in self._outside():
            child.start()
        await self.migration.run_to_end(deadline_seconds=_READY_SECONDS)
        await self.wait_platform()
        await self._wait_login()
        await self.wait_witness()
        self.gateway.start()
        samples = await self._issue_samples() if self._issues_samples else []
        await self.wait_gateway()
        self.description = self._describe(samples)
        write_client_scripts(self.folder, self.description)
        write_public(self.description_file, orjson.dumps(self.description, option=orjson.OPT_INDENT_2))

    async def stop(self) -> None:
        """The gateway first, so that it can finish what runs."""
        for child in (self.gateway, self.migration, *self._outside()):
            await child.stop(grace_seconds=_GRACE_SECONDS)
        await self.control.__aexit__()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def watch(self) -> None:
        """Until a process ends by itself. Raises ChildFailed then."""
        while True:
            for child in (*self._outside(), self.gateway):
                if not child.running:
                    raise ChildFailed(f"{child.name} ended: {child.tail()}")
            await asyncio.sleep(0.2)

    async def wait_platform(self) -> None:
        await self.platform.wait_until(self.control.healthy, deadline_seconds=_READY_SECONDS)

    async def wait_gateway(self) -> None:
        await self._wait_http(self.gateway, f"http://127.0.0.1:{self.ports.ops}/readyz")

    async def wait_witness(self) -> None:
        # Anything but a submission is answered with 404, and answered.
        await self._wait_http(self.witness, f"https://127.0.0.1:{self.ports.witness}/", status=404)

    async def start_witness(self) -> None:
        self.witness.start()
        await self.wait_witness()

    async def stop_witness(self) -> None:
        await self.witness.stop(grace_seconds=_GRACE_SECONDS)

    async def start_login(self) -> None:
        self.login.start()
        await self._wait_login()

    async def stop_login(self) -> None:
        await self.login.stop(grace_seconds=_GRACE_SECONDS)

    async def start_platform(self) -> None:
        self.platform.start()
        await self.wait_platform()

    async def stop_platform(self) -> None:
        await self.platform.stop(grace_seconds=_GRACE_SECONDS)

    async def start_gateway(self) -> None:
        self.gateway.start()
        await self.wait_gateway()

    async def stop_gateway(self) -> None:
        """SIGTERM: it finishes what runs."""
        await self.gateway.stop(grace_seconds=_GRACE_SECONDS)

    async def kill_gateway(self) -> None:
        """SIGKILL: a crash."""
        await self.gateway.kill()

    def _outside(self) -> tuple[Child, ...]:
        """All but the gateway."""
        return tuple(one for one in (self.platform, self.login, self.witness, self.timestamps) if one is not None)

    def _child(self, name: str, module: str, config: str, *command: str) -> Child:
        return Child(
            name,
            ["-m", module, *command, "--config", str(self.folder / config)],
            log_file=self.folder / "logs" / f"{name}.log",
            clock=self.clock,
        )

    def _take_lock(self) -> None:
        self._lock = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            self._lock = None
            raise WorldBusy(f"another sandbox runs in {self.folder}") from error

    def _kept_ports(self) -> Ports:
        file = self.folder / _PORTS_FILE
        if file.exists() and not self._port_base:
            return Ports(**orjson.loads(file.read_bytes()))
        ports = Ports() if self._port_base is None else Ports.from_base(self._port_base)
        write_public(file, orjson.dumps(ports.named()))
        return ports

    async def _wait_login(self) -> None:
        await self._wait_http(self.login, f"https://127.0.0.1:{self.ports.login}{DISCOVERY_PATH}")

    async def _wait_http(self, child: Child, url: str, *, status: int = 200) -> None:
        context = client_context(self.folder / "pki/ca.pem")
        async with aiohttp.ClientSession(timeout=_PROBE_TIMEOUT) as session:

            async def ready() -> bool:
                try:
                    async with session.get(url, ssl=context) as response:
                        return response.status == status
                except (aiohttp.ClientError, TimeoutError):
                    return False

            await child.wait_until(ready, deadline_seconds=_READY_SECONDS)

    async def _issue_samples(self) -> list[dict[str, Any]]:
        """Register what the sources have issued; the same documents give the same evidence and vouchers."""
        described = []
        for sample in SAMPLES:
            document = (self.folder / sample.file).read_bytes()
            receipt = await self.control.issue(sample.issuer_id, sample.document_type, document)
            described.append(
                {
                    "file": sample.file,
                    "documentType": sample.document_type,
                    "issuerId": sample.issuer_id,
                    "evidenceId": receipt["evidenceId"],
                    "voucher": receipt["voucher"],
                    "digests": receipt["digests"],
                }
            )
        if self._block_seconds is not None:
            await self._anchored([sample["evidenceId"] for sample in described])
        return described

    async def _anchored(self, evidence_ids: list[str]) -> None:
        end = self.clock.monotonic() + _ANCHORED_SECONDS + (self._block_seconds or 0)
        for evidence_id in evidence_ids:
            while (await self.control.evidence(evidence_id))["status"] == "PENDING_CHAIN":
                if self.clock.monotonic() > end:
                    raise ChildFailed(f"the platform makes no block: {self.platform.tail()}")
                await asyncio.sleep(_POLL_SECONDS)

    def _describe(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        ports = self.ports
        return {
            "listeners": {
                "bank": f"https://localhost:{ports.bank}",
                "consent": f"https://localhost:{ports.consent}",
                "partner": f"https://localhost:{ports.partner}",
                "ops": f"http://localhost:{ports.ops}",
            },
            "ca": "pki/ca.pem",
            "clients": {client.label: _describe_client(client) for client in CLIENTS},
            "owners": [{"id": owner.owner_id, "login": owner.login, "password": owner.password} for owner in OWNERS],
            "samples": samples,
            "platform": {
                "participant": PLATFORM_ID,
                "url": f"https://localhost:{ports.platform}",
                "control": f"http://localhost:{ports.control}",
            },
            "issuer": {
                "issuer": f"https://localhost:{ports.consent}",
                "token": f"https://localhost:{ports.bank}/oauth/token",
            },
            "login": {"issuer": f"https://localhost:{ports.login}"},
            "reports": {"jwks": f"pki/{REPORT_KEY}.jwks.json"},
            "audit": self._describe_audit(),
            "config": "gateway.yaml",
        }

    def _describe_audit(self) -> dict[str, Any]:
        audit: dict[str, Any] = {
            "dir": AUDIT_LOG,
            "vkey": log_verifier_key(self.folder),
            "witness": {"url": f"https://localhost:{self.ports.witness}", "vkey": witness_verifier_key(self.folder)},
        }
        if self.timestamps is not None:
            url = f"http://localhost:{self.ports.timestamp}{TIMESTAMP_PATH}"
            audit["timestamps"] = {"url": url, "ca": "pki/timestamps-ca.pem"}
        return audit


def _describe_client(client: Client) -> dict[str, Any]:
    """How to act as this client; paths are relative to the folder."""
    place = f"clients/{client.label}"
    described: dict[str, Any] = {
        "participant": client.participant_id,
        "clientId": client.client_id,
        "authentication": client.authentication,
        "cert": f"{place}/cert.pem",
        "key": f"{place}/key.pem",
    }
    if client.redirect_uri is not None:
        described["redirectUri"] = client.redirect_uri
    if client.authentication == PRIVATE_KEY_JWT:
        described |= {"signingKey": f"{place}/signing.pem", "signingKeyId": client_key(client.label)}
    if client.dpop:
        described["dpop"] = True
    return described
