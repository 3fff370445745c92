"""A client that we did not write goes the whole way in a sandbox: what it is told, and the browser in between."""

from __future__ import annotations

import asyncio
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from adapters.sandbox.bank import Bank
from tests import node
from tests.end_to_end.stage import Stage

OWNER = "owner-7"
_LINE_SECONDS = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a client goes it. `label`: of the sandbox's client. `jar`: signed request object (RFC 9101); `jarm`: signed
    answers. `discovery`: which metadata document, `oauth2` or `oidc`. `code_twice`: present the code again at the end
    instead of ending the grant."""

    label: str
    jar: bool = False
    jarm: bool = False
    discovery: str = "oauth2"
    code_twice: bool = False

    def __str__(self) -> str:
        extras = (name for name, on in (("jar", self.jar), ("jarm", self.jarm), ("twice", self.code_twice)) if on)
        return "-".join((self.label, self.discovery, *extras))


@dataclass(slots=True)
class Story:
    """`steps`: what the script said, by name of the step."""

    consent: dict[str, Any]
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)


async def submitted(stage: Stage, bank: Bank, **changes: Any) -> dict[str, Any]:
    """A consent of this client that waits for its owner, and may be used several times."""
    return await stage.submitted(bank, max_uses=5, **changes)


def question(stage: Stage, consent: dict[str, Any]) -> dict[str, Any]:
    """The body of a data request under this consent."""
    return {
        "consentId": consent["consentId"],
        "dataScope": {"scopeType": "DataScopeTypeUDR", "documentType": consent["scope"]["documentType"]},
        "purpose": consent["purpose"],
        "document": {"issuerId": consent["dataProviderId"], "digests": stage.sample["digests"]},
    }


def described(stage: Stage, way: Way, consent: dict[str, Any]) -> dict[str, Any]:
    """What a script of `node/` reads first; see `node/dialogue.mjs`."""
    description, folder = stage.world.description, stage.folder
    client = description["clients"][way.label]
    signing = str(folder / client["signingKey"]) if "signingKey" in client else None
    return {
        "issuer": description["issuer"]["issuer"],
        "resource": description["listeners"]["bank"],
        "ca": str(folder / description["ca"]),
        "cert": str(folder / client["cert"]),
        "key": str(folder / client["key"]),
        "clientId": client["clientId"],
        "redirectUri": client["redirectUri"],
        "authentication": client["authentication"],
        "signingKey": signing,
        "signingKeyId": client.get("signingKeyId"),
        "dpop": client.get("dpop", False),
        "jar": way.jar,
        "jarm": way.jarm,
        "discovery": way.discovery,
        "codeTwice": way.code_twice,
        "consentId": consent["consentId"],
        "question": question(stage, consent),
    }


async def callback(stage: Stage, bank: Bank, url: str, *, approve: bool = True) -> str:
    """The address where the owner's browser ends that opened this one and decided."""
    redirect_uri = bank.oauth.redirect_uri
    answer = await (await bank.owner(OWNER)).decide(url, redirect_uri, approve=approve)
    return f"{redirect_uri}?{urlencode(answer)}"


async def told_by(binary: Path, script: str, stage: Stage, bank: Bank, way: Way) -> Story:
    """Run a script of `node/` to its end, with a consent of its own."""
    story = Story(await submitted(stage, bank))
    async with _started(binary, script) as process:
        await _tell(process, described(stage, way, story.consent))
        while (line := await _line(process)) is not None:
            story.steps[line.pop("step")] = line
            if "url" in line:
                await _tell(process, {"callback": await callback(stage, bank, line["url"])})
    return story


def fresh_key() -> str:
    """An Idempotency-Key."""
    return str(uuid.uuid4())


@asynccontextmanager
async def _started(binary: Path, script: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        str(binary), str(node.FOLDER / script), stdin=PIPE, stdout=PIPE, stderr=PIPE, env=node.environment()
    )
    try:
        yield process
        errors = await process.stderr.read() if process.stderr is not None else b""
        assert await process.wait() == 0, errors.decode()[-3_000:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _tell(process: Process, value: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(orjson.dumps(value) + b"\n")
    await process.stdin.drain()


async def _line(process: Process) -> dict[str, Any] | None:
    """The next step; None when the script has ended."""
    assert process.stdout is not None
    async with asyncio.timeout(_LINE_SECONDS):
        line = await process.stdout.readline()
    value: dict[str, Any] | None = orjson.loads(line) if line else None
    return value
