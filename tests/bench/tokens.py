"""`make bench BENCH=tokens`: the token endpoint beside that of npm oidc-provider, and the resource server's check.

Same machine, TLS 1.3, client certificates, grant (client_credentials), authentication and binding, 64 keep-alive
connections each, interleaved. The check of a presented token runs in this process. Medians over the rounds go to the
screen and to build/bench/tokens.json.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

import schemas
from adapters.sandbox.addresses import Ports
from adapters.sandbox.credentials import Credentials
from adapters.sandbox.world import World

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
import checks
import load
from verification import Case, measure, part_cores

from tests import node, oidc_provider

CONNECTIONS = 64
OUT = Path("build/bench/tokens.json")
SCOPE = "cdi:consents cdi:notices"
# Endpoint, client of the sandbox, and what the row is called.
ENDPOINTS = {
    "gateway-mtls": ("gateway", "bank-a", "(a) gateway, tls_client_auth"),
    "oidc-provider-mtls": ("oidc-provider", "bank-a", "(b) oidc-provider, tls_client_auth"),
    "gateway-jwt": ("gateway", "bank-a-jwt", "(c) gateway, private_key_jwt"),
    "oidc-provider-jwt": ("oidc-provider", "bank-a-jwt", "(d) oidc-provider, private_key_jwt"),
}
# No limit of the gateway may shape the measurement.
RATE = {"per_second": 100_000, "burst": 1_000_000}
SETTINGS = {"rates": {"participant": RATE, "browser": RATE}, "log": {"level": "warning"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`path`: of its token endpoint. `audience`: of assertions, the issuer."""

    port: int
    pid: int
    path: str
    audience: str


@dataclass(slots=True)
class Subject:
    """Two servers and their clients. `folder`: the sandbox's."""

    folder: Path
    servers: dict[str, Server]
    clients: dict[str, Any]
    cases: dict[str, Case] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (server, _, _) in ENDPOINTS.items():
            self.cases[name] = Case(name=name, port=self.servers[server].port, pid=self.servers[server].pid)

    def requests(self, name: str, count: int) -> list[Iterator[bytes]]:
        """Assertions are signed beforehand, each of its own `jti`; without one all requests are the same."""
        server_name, label, _ = ENDPOINTS[name]
        server = self.servers[server_name]
        each = count // CONNECTIONS
        if self.clients[label]["authentication"] == "tls_client_auth":
            return [repeat(self._request(server, label, {}), each) for _ in range(CONNECTIONS)]
        return [
            iter(
                [
                    self._request(server, label, oidc_provider.assertion(self.folder, label, server.audience))
                    for _ in range(each)
                ]
            )
            for _ in range(CONNECTIONS)
        ]

    def _request(self, server: Server, label: str, credentials: dict[str, str]) -> bytes:
        form = {"grant_type": "client_credentials", "scope": SCOPE, "client_id": self.clients[label]["clientId"]}
        body = urlencode(form | credentials).encode()
        return load.http(server.path, body, Content_Type="application/x-www-form-urlencoded")

    async def round(self, name: str, count: int, *, keep: bool) -> None:
        client = self.clients[ENDPOINTS[name][1]]
        context = load.client_context(
            self.folder / "pki/ca.pem", self.folder / client["cert"], self.folder / client["key"]
        )
        await measure(self.cases[name], context, self.requests(name, count), keep=keep)


async def main(rounds: int, count: int) -> None:
    console = Console(soft_wrap=True, markup=False, highlight=False)
    binary, installed = node.find_node(), node.packages()
    if binary is None or installed is None:
        raise SystemExit("oidc-provider is not here: `make setup`, and a way to the npm registry")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Credentials(folder, now=int(time.time()))
        ports = Ports.from_base(0)
        (folder / "ports.json").write_bytes(orjson.dumps(ports.named()))
        provider = oidc_provider.OidcProvider(
            folder=folder, port=Ports.from_base(0).bank, resources=(f"https://localhost:{ports.bank}",)
        )
        world = World(folder, schemas=schemas.load(), block_seconds=None, settings=SETTINGS, issue_samples=False)
        with provider.running(binary) as pid:
            async with world:
                issuer = world.description["issuer"]["issuer"]
                servers = {
                    "gateway": Server(port=ports.bank, pid=world.gateway.pid, path="/oauth/token", audience=issuer),
                    "oidc-provider": Server(port=provider.port, pid=pid, path="/token", audience=provider.issuer),
                }
                subject = Subject(folder, servers, world.description["clients"])
                part_cores([server.pid for server in servers.values()], [world.platform.pid, os.getpid()])
                for number in range(rounds + 1):
                    for case in ENDPOINTS:
                        await subject.round(case, count, keep=number > 0)
                    console.print(f"round {number} of {rounds}" + (" (warm-up)" if number == 0 else ""), style="dim")
        found = await checks.run(folder / "checks", rounds=rounds, count=count)
    report(console, [row(case) for case in subject.cases.values()] + [row(case) for case in found], rounds, count)


def row(case: Any) -> dict[str, Any]:
    columns: dict[str, Callable[[], float]] = {
        "rps": lambda: round(statistics.median(case.rps), 1),
        "cpu_us": lambda: round(statistics.median(case.cpu_us), 1),
        "p50_ms": lambda: round(statistics.median(case.p50_ms), 3),
        "p99_ms": lambda: round(statistics.median(case.p99_ms), 3),
    }
    return {"case": case.name} | {name: column() for name, column in columns.items()}


def report(console: Console, rows: list[dict[str, Any]], rounds: int, count: int) -> None:
    titles = {name: title for name, (_, _, title) in ENDPOINTS.items()} | checks.TITLES
    cpu = {one["case"]: float(one["cpu_us"]) for one in rows}
    ratios = {
        f"gateway/oidc-provider, {how}": round(cpu[f"gateway-{how}"] / cpu[f"oidc-provider-{how}"], 2)
        for how in ("mtls", "jwt")
    }
    title = f"tokens, {CONNECTIONS} connections, medians of {rounds} interleaved rounds of {count}"
    table = Table("case", "req/s", "per CPU second", "CPU us/req", "p50 ms", "p99 ms", title=title)
    for one in rows:
        table.add_row(
            titles[one["case"]],
            f"{one['rps']:,}",
            f"{1e6 / one['cpu_us']:,.0f}",
            *(f"{one[key]:,}" for key in ("cpu_us", "p50_ms", "p99_ms")),
        )
    console.print(table)
    console.print("CPU per token: " + ", ".join(f"{name} {ratio}" for name, ratio in ratios.items()))
    console.print("oidc-provider keeps everything in memory; the gateway's tokens are on record before they leave it")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    document = {"name": "tokens", "rounds": rounds, "rows": rows, "ratios": ratios}
    OUT.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    console.print(f"written to {OUT}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds after the warm-up (default 5)")
    parser.add_argument("--count", type=int, default=2_560, help="requests in one round of one case (default 2560)")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as running:
        running.run(main(given.rounds, given.count))
