"""`make bench`: a whole verification beside a bare server and a bare reverse proxy, in one run, interleaved.

Same machine, TLS and certificates, 64 keep-alive connections each. Measured: CPU time of the process
under test per request, and latency at the client. Medians over the rounds go to the screen and to
build/bench/verification.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import ssl
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

import schemas
from adapters.keys.file import FileSigner
from adapters.sandbox.bank import CONSENTS, Bank
from adapters.sandbox.cast import GATEWAY_ID, OWNERS, PLATFORM_ID
from adapters.sandbox.world import World
from gateway.profiles.dvp_v1.envelope import Envelope, seal

sys.path.insert(0, str(Path(__file__).parent))
import load

CONNECTIONS = 64
DOCUMENTS = 64
IDLE_CONNECTIONS = 300
IDLE = (
    "GroupCommit._work ",
    "_worker (concurrent",
    "Condition.wait ",
    "wait (threading",
    "get (queue",
)  # threads that wait for work
BARE = Path(__file__).with_name("bare.py")
OUT = Path("build/bench/verification.json")
PROFILE = Path("build/bench/verification.profile.txt")
CASES = {
    "bare": "(a) bare aiohttp server, mutual TLS",
    "proxy": "(b) bare aiohttp reverse proxy to the platform",
    "gateway": "(c) the whole verification",
}
# No limit of the gateway may shape the measurement.
SETTINGS = {
    "rates": {"participant": {"per_second": 100_000, "burst": 1_000_000}},
    "log": {"level": "warning"},
    "exchange": {"worker_interval_seconds": 1},
}


@dataclass(slots=True)
class Case:
    name: str
    port: int
    pid: int
    rps: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)


class Subject:
    """A gateway world with consents, tokens and registered documents, and what each case is asked."""

    def __init__(self, world: World, bank: Bank) -> None:
        self.world = world
        self.bank = bank
        self.consents: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []
        self.signer = FileSigner(world.folder / "gateway/keys/gateway-messages-1.pem", "gateway-messages-1")

    async def prepare(self) -> None:
        token = await self.bank.token(CONSENTS)
        for number in range(CONNECTIONS):
            reply = await self.bank.submit_consent(
                token=token,
                provider_id="SZCREDIT01DP",
                document_type="CORPORATE_CREDIT_REPORT",
                expire_time=int(time.time()) + 86_400,
                max_uses=1_000,
                private={"dataOwnerId": OWNERS[number % len(OWNERS)].owner_id},
            )
            assert reply.status == 201, reply.json
            self.consents.append(reply.json)
            approved = await self.bank.approve(reply.json, OWNERS[number % len(OWNERS)].owner_id)
            assert approved.status == 201, approved.json
        for number in range(DOCUMENTS):
            self.documents.append(
                await self.world.control.issue("SZCREDIT01DP", "CORPORATE_CREDIT_REPORT", b"document %d" % number)
            )
        await self.world.control.make_block()

    async def questions(self, count: int) -> list[Iterator[bytes]]:
        """For the gateway: each connection has its consent and a fresh token, as a bank would."""
        plans = []
        for consent in self.consents:
            token = await self.bank.token(consent=consent)
            bodies = []
            for number in range(count // CONNECTIONS):
                document = self.documents[number % DOCUMENTS]
                body = {
                    "consentId": consent["consentId"],
                    "dataScope": {"scopeType": "DataScopeTypeUDR", "documentType": "CORPORATE_CREDIT_REPORT"},
                    "purpose": consent["purpose"],
                    "document": {"issuerId": "SZCREDIT01DP", "digests": document["digests"], "size": 48_213},
                }
                bodies.append(
                    load.http(
                        "/cdi/v1/data-requests",
                        orjson.dumps(body),
                        Authorization=f"Bearer {token}",
                        Content_Type="application/json",
                        Idempotency_Key=str(uuid.uuid4()),
                        Prefer="wait=30",
                    )
                )
            plans.append(iter(bodies))
        return plans

    def envelopes(self, count: int) -> list[Iterator[bytes]]:
        """For the proxy: the very questions that the gateway would put, signed beforehand."""
        now = int(time.time())
        plans = []
        for consent in self.consents:
            bodies = []
            for number in range(count // CONNECTIONS):
                document = self.documents[number % DOCUMENTS]
                question = {
                    "requestId": str(uuid.uuid4()),
                    "documentType": "CORPORATE_CREDIT_REPORT",
                    "issuerId": "SZCREDIT01DP",
                    "digests": document["digests"],
                    "consent": {
                        "hashKey": consent["hashKey"],
                        "purpose": consent["purpose"],
                        "expireTime": consent["expireTime"],
                    },
                    "requester": "BANKA01DC",
                }
                envelope = Envelope(
                    message_id=str(uuid.uuid4()),
                    message_type="VerificationRequest",
                    sender=GATEWAY_ID,
                    receiver=PLATFORM_ID,
                    issued_at=now,
                    expires_at=now + 300,
                    nonce=os.urandom(16).hex(),
                    body=question,
                )
                bodies.append(
                    load.http("/dvp/v1/messages", seal(envelope, self.signer).encode(), Content_Type="application/jose")
                )
            plans.append(iter(bodies))
        return plans


def plain_requests(count: int) -> list[Iterator[bytes]]:
    request = load.http("/", b"x" * 500, Content_Type="application/json")
    return [repeat(request, count // CONNECTIONS) for _ in range(CONNECTIONS)]


@contextlib.asynccontextmanager
async def bare(what: str, world: World, *, loop: str = "uvloop") -> AsyncIterator[Case]:
    folder = world.folder
    command = [
        *(sys.executable, str(BARE), what, "--loop", loop),
        *("--cert", folder / "gateway/tls/server/cert.pem", "--key", folder / "gateway/tls/server/key.pem"),
        *("--ca", folder / "pki/client-ca.pem", "--target", f"{world.description['platform']['url']}/dvp/v1/messages"),
        *("--client-cert", folder / "gateway/tls/client/cert.pem"),
        *("--client-key", folder / "gateway/tls/client/key.pem", "--target-ca", folder / "pki/dvp-ca.pem"),
    ]
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Case(name=what, port=int(await process.stdout.readline()), pid=process.pid)
    finally:
        process.terminate()
        await process.wait()


def part_cores(subjects: list[int], others: list[int]) -> None:
    """The processes under test on one core, all that serves or loads them on the others: they neither take each other's
    time nor wake each other's core. Where there is one core only, nothing is parted."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        for pids, allowed in ((subjects, cores[:1]), (others, cores[1:])):
            for pid in pids:
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), allowed)


async def measure(case: Case, context: ssl.SSLContext, plans: list[Iterator[bytes]], *, keep: bool) -> None:
    began = load.cpu_seconds(case.pid)
    result = await load.run(case.port, context, plans)
    used = load.cpu_seconds(case.pid) - began
    count = len(result.latencies)
    if set(result.statuses) != {200}:
        raise SystemExit(f"{case.name}: answers other than 200: {result.statuses}")
    if keep:
        ordered = sorted(result.latencies)
        case.rps.append(count / result.seconds)
        case.cpu_us.append(used / count * 1e6)
        case.p50_ms.append(ordered[count // 2] * 1e3)
        case.p99_ms.append(ordered[int(count * 0.99)] * 1e3)


async def idle_bytes(case: Case, context: ssl.SSLContext) -> float:
    """Resident memory of one idle TLS connection, after a warm-up connection."""
    first = await load.connect(case.port, context)
    before = load.resident_bytes(case.pid)
    idle = [await load.connect(case.port, context) for _ in range(IDLE_CONNECTIONS)]
    grown = load.resident_bytes(case.pid) - before
    for connection in (first, *idle):
        if connection.transport is not None:
            connection.transport.close()
    return grown / IDLE_CONNECTIONS


async def profile(case: Case, context: ssl.SSLContext, plans: list[Iterator[bytes]]) -> None:
    """Where the CPU time of (c) goes: py-spy beside one round, all threads, only while they run."""
    PROFILE.parent.mkdir(parents=True, exist_ok=True)
    sampler = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(case.pid), "--rate", "500"),
        *("--format", "raw", "--output", str(PROFILE), "--duration", "3600", "--threads"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await load.run(case.port, context, plans)
    sampler.send_signal(signal.SIGINT)
    await sampler.wait()


def show_profile(console: Console) -> None:
    """Samples by the innermost function, and by the first of our own files on the way there."""
    own: Counter[str] = Counter()
    leaf: Counter[str] = Counter()
    for line in PROFILE.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = stack.split(";")
        if any(idle in frames[-1] for idle in IDLE):
            continue
        leaf[frames[-1].rpartition(":")[0]] += int(samples)
        ours = [frame for frame in frames if "(gateway/" in frame or "(adapters/" in frame]
        own[(ours[-1] if ours else frames[0]).rpartition(":")[0]] += int(samples)
    for title, counted in (("by function of ours", own), ("by innermost function", leaf)):
        table = Table(title, "share", title=f"profile of (c), {PROFILE}")
        for name, samples in counted.most_common(30):
            table.add_row(name, f"{samples / counted.total():.1%}")
        console.print(table)


async def main(rounds: int, count: int, *, profiled: bool) -> None:
    console = Console(soft_wrap=True, markup=False, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), schemas=schemas.load(), port_base=0, block_seconds=0.2, settings=SETTINGS)
        async with world, Bank(world.folder, world.description, "bank-a") as bank, contextlib.AsyncExitStack() as stack:
            subject = Subject(world, bank)
            await subject.prepare()
            client = world.description["clients"]["bank-a"]
            context = load.client_context(
                world.folder / world.description["ca"], world.folder / client["cert"], world.folder / client["key"]
            )
            server = await stack.enter_async_context(bare("server", world))
            proxy = await stack.enter_async_context(bare("proxy", world))
            plain = await stack.enter_async_context(bare("server", world, loop="asyncio"))
            server.name = "bare"
            gateway = Case(name="gateway", port=world.ports.bank, pid=world.gateway.pid)
            part_cores([case.pid for case in (server, proxy, gateway)], [world.platform.pid, os.getpid()])
            for number in range(rounds + 1):
                await measure(server, context, plain_requests(count), keep=number > 0)
                await measure(proxy, context, subject.envelopes(count), keep=number > 0)
                await measure(gateway, context, await subject.questions(count), keep=number > 0)
                console.print(f"round {number} of {rounds}" + (" (warm-up)" if number == 0 else ""), style="dim")
            if profiled:
                await profile(gateway, context, await subject.questions(count))
                show_profile(console)
            memory = {
                "uvloop": await idle_bytes(server, context),
                "asyncio": await idle_bytes(plain, context),
                "gateway": await idle_bytes(gateway, context),
            }
    report(console, [server, proxy, gateway], memory, rounds, count)


def report(console: Console, cases: list[Case], memory: dict[str, float], rounds: int, count: int) -> None:
    rows = [
        {
            "case": case.name,
            "rps": round(statistics.median(case.rps), 1),
            "cpu_us": round(statistics.median(case.cpu_us), 1),
            "p50_ms": round(statistics.median(case.p50_ms), 2),
            "p99_ms": round(statistics.median(case.p99_ms), 2),
        }
        for case in cases
    ]
    cpu = {row["case"]: float(row["cpu_us"]) for row in rows}
    ratios = {
        "gateway/proxy": round(cpu["gateway"] / cpu["proxy"], 2),
        "gateway/bare": round(cpu["gateway"] / cpu["bare"], 2),
    }
    title = f"one verification, {CONNECTIONS} connections, medians of {rounds} interleaved rounds of {count}"
    table = Table("case", "req/s", "CPU us/req", "p50 ms", "p99 ms", title=title)
    for row in rows:
        table.add_row(CASES[row["case"]], *(f"{row[key]:,}" for key in ("rps", "cpu_us", "p50_ms", "p99_ms")))
    console.print(table)
    console.print(
        f"CPU per request: (c) is {ratios['gateway/proxy']} x (b) [goal 4 or less], {ratios['gateway/bare']} x (a)"
    )
    idle = {name: round(value / 1024, 1) for name, value in memory.items()}
    console.print(
        f"memory of an idle TLS connection: gateway {idle['gateway']} KiB, bare aiohttp on uvloop {idle['uvloop']} "
        f"KiB, on asyncio {idle['asyncio']} KiB"
    )
    OUT.parent.mkdir(parents=True, exist_ok=True)
    document = {"name": "verification", "rounds": rounds, "rows": rows, "ratios": ratios, "idle_connection_kib": idle}
    OUT.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    console.print(f"written to {OUT}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds after the warm-up (default 5)")
    parser.add_argument("--count", type=int, default=2_560, help="requests in one round of one case (default 2560)")
    parser.add_argument(
        "--profile", action="store_true", help="say where the time of (c) goes (py-spy, one more round)"
    )
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as running:
        running.run(main(given.rounds, given.count, profiled=given.profile))
