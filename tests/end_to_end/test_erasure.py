"""A data owner is erased beside the running gateway: unreadable from then on, while every proof and receipt holds."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from gateway.audit import proof
from gateway.audit.note import verifier_key
from gateway.profiles.dvp_v1 import signature
from tests.end_to_end.stage import Stage, staged

WAIT = 20
ERASED, OTHER = "owner-7", "owner-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question under an owner's consent, its receipt, and the proof of its record."""

    consent: dict[str, Any]
    token: str
    data_request: str
    receipt: str
    proof: str


async def consented(stage: Stage, owner: str) -> tuple[dict[str, Any], str]:
    consent = await stage.submitted(max_uses=5, private={"dataOwnerId": owner, "dataOwnerName": "Example Trading"})
    assert (await stage.bank_a.approve(consent, owner)).status == 201
    return consent, await stage.bank_a.token(consent=consent)


async def ask(stage: Stage, consent: dict[str, Any], token: str) -> Asked:
    reply = await stage.bank_a.ask(
        token=token, consent=consent, digests=stage.sample["digests"], wait_seconds=WAIT, covered=True
    )
    assert (reply.status, reply.json["verification"]["outcome"]) == (200, "MATCH")
    data_request = reply.json["dataRequestId"]
    proved = await stage.bank_a.proof(data_request, token=await stage.machine_token(), wait_seconds=WAIT)
    assert proved.status == 200
    return Asked(
        consent=consent,
        token=token,
        data_request=data_request,
        receipt=reply.json["receipt"],
        proof=proved.body.decode(),
    )


async def audit(*arguments: str) -> Any:
    """What a command beside the gateway says, as JSON; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway", "audit", *arguments, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, (arguments[0], errors.decode())
    return orjson.loads(out)


async def entries(stage: Stage, *query: str) -> list[dict[str, Any]]:
    config = str(stage.folder / stage.world.description["config"])
    found = await audit("search", "--config", config, "--limit", "1000", "--oldest-first", *query)
    listed: list[dict[str, Any]] = found["entries"]
    return listed


def check(stage: Stage, asked: Asked) -> None:
    """Receipt and proof hold, and belong together."""
    jwks = stage.folder / stage.world.description["reports"]["jwks"]
    said = orjson.loads(
        signature.verify(asked.receipt.encode(), signature.key_set(jwks.read_bytes()), "cdi-receipt+jwt")
    )
    key = verifier_key(stage.world.description["audit"]["vkey"])
    leaf = bytes.fromhex(said["log"]["leafHash"])
    proof.verify(proof.parse(asked.proof), leaf, origin=said["log"]["origin"], keys=[key])


async def test_an_erased_owner_is_unreadable_and_everything_still_verifies(tmp_path: Path) -> None:
    async with staged(tmp_path / "world", {}) as stage:
        description = stage.world.description
        config = str(stage.folder / description["config"])
        digests = [f"digest:{digest['value']}" for digest in stage.sample["digests"]]
        first = await ask(stage, *await consented(stage, ERASED))
        other = await ask(stage, *await consented(stage, OTHER))
        of_both = await entries(stage, *digests)
        assert {one["entry"]["request"] for one in of_both} == {first.data_request, other.data_request}

        told = await audit("erase", "-c", config, "--subject", ERASED, "--reason", "OWNER_REQUEST", "--yes")
        assert told["erased"]
        assert told["sealed"] >= 2  # what was asked, and what came of it

        # By digest the owner's entries are found no more; by request they are, and say that they were erased.
        assert {one["entry"]["request"] for one in await entries(stage, *digests)} == {other.data_request}
        gone = await entries(stage, f"request:{first.data_request}")
        kept = await entries(stage, f"request:{other.data_request}")
        assert "erased" in {one["condition"] for one in gone}
        assert stage.sample["digests"][0]["value"] not in str(gone)
        assert {one["condition"] for one in kept} == {"open"}
        assert stage.sample["digests"][0]["value"] in str(kept)

        # Every receipt and proof from before holds, new proofs of old records too, and so does the whole log.
        machine = await stage.machine_token()
        for asked in (first, other):
            check(stage, asked)
            anew = await stage.bank_a.proof(asked.data_request, token=machine, wait_seconds=WAIT)
            check(stage, replace(asked, proof=anew.body.decode()))
        log = str(stage.folder / description["audit"]["dir"])
        await audit("verify", log, "--key", description["audit"]["vkey"])

        # The gateway that runs all the while seals what comes now under a new key.
        later = await ask(stage, first.consent, first.token)
        check(stage, later)
        fresh = await entries(stage, f"request:{later.data_request}")
        assert {one["condition"] for one in fresh} == {"open"}
        assert {one["entry"]["request"] for one in await entries(stage, *digests)} == {
            other.data_request,
            later.data_request,
        }
