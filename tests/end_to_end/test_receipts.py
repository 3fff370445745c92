"""What a bank can show later of an outcome: its receipt, the proof of its record, and nothing of another bank's."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from adapters.sandbox.bank import READ, Reply
from adapters.sandbox.cast import GATEWAY_ID
from adapters.sandbox.configuration import AUDIT_LOG
from adapters.tiles.directory import TileDirectory
from gateway.audit import proof
from gateway.audit.note import verifier_key
from gateway.cli.commands import run
from gateway.exchange.statements import RECEIPT_TYPE, REPORT_TYPE
from gateway.profiles.dvp_v1 import signature
from gateway.profiles.dvp_v1.signature import SignatureError
from tests.end_to_end.stage import VALIDATORS, Stage, check_problem, staged

DATA_REQUESTS = "/cdi/v1/data-requests"
NOBODYS = "00000000-0000-4000-8000-000000000000"
WAIT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A consent of bank-a, its token, and the answer to one question under it."""

    consent: dict[str, Any]
    token: str
    reply: Reply

    @property
    def data_request_id(self) -> str:
        return str(self.reply.json["dataRequestId"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def delivered(stage: Stage) -> Delivered:
    consent, token = await stage.approved(max_uses=20)
    sample = stage.sample
    reply = await stage.bank_a.ask(
        token=token, consent=consent, digests=sample["digests"], voucher=sample["voucher"], wait_seconds=WAIT
    )
    assert reply.status == 200
    return Delivered(consent=consent, token=token, reply=reply)


def claims(stage: Stage, receipt: str) -> dict[str, Any]:
    """Of a receipt that the gateway signed."""
    jwks = stage.folder / stage.world.description["reports"]["jwks"]
    found: dict[str, Any] = orjson.loads(
        signature.verify(receipt.encode(), signature.key_set(jwks.read_bytes()), RECEIPT_TYPE)
    )
    assert VALIDATORS.is_valid("cdi/v1/receipt", found), found
    return found


def check_proof(stage: Stage, reply: Reply, receipt: dict[str, Any]) -> int:
    """The proof is of the receipt's record, under a checkpoint that the log signed; its size."""
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    found = proof.parse(reply.body.decode())
    log = receipt["log"]
    key = verifier_key(stage.world.description["audit"]["vkey"])
    head = proof.verify(found, bytes.fromhex(log["leafHash"]), origin=log["origin"], keys=[key])
    assert found.index == log["index"]
    return head.size


async def test_the_receipt_says_what_was_answered_under_the_gateways_signature(
    stage: Stage, delivered: Delivered
) -> None:
    body = delivered.reply.json
    said = claims(stage, body["receipt"])
    assert (said["iss"], said["aud"]) == (GATEWAY_ID, stage.bank_a.participant_id)
    assert (said["dataRequestId"], said["consentId"]) == (body["dataRequestId"], body["consentId"])
    assert (said["consentHash"], said["purpose"]) == (delivered.consent["hashKey"], body["purpose"])
    assert said["document"]["digests"] == stage.sample["digests"]
    assert said["evidence"] == body["verification"]["evidence"]["evidenceId"] == stage.sample["evidenceId"]
    for fact in ("outcome", "integrity", "status", "issuer", "checkedAt"):
        assert said[fact] == body["verification"][fact]


async def test_receipt_and_report_cannot_be_taken_for_each_other(stage: Stage, delivered: Delivered) -> None:
    keys = signature.key_set((stage.folder / stage.world.description["reports"]["jwks"]).read_bytes())
    with pytest.raises(SignatureError):
        signature.verify(delivered.reply.json["receipt"].encode(), keys, REPORT_TYPE)


async def test_the_same_receipt_is_wherever_the_data_request_is_shown(stage: Stage, delivered: Delivered) -> None:
    receipt, machine = delivered.reply.json["receipt"], await stage.machine_token()
    read = await stage.bank_a.data_request(delivered.data_request_id, token=machine)
    listed = await stage.bank_a.call("GET", f"{DATA_REQUESTS}?limit=1000", token=machine)
    (mine,) = [item for item in listed.json["dataRequests"] if item["dataRequestId"] == delivered.data_request_id]
    assert read.json["receipt"] == mine["receipt"] == receipt


async def test_every_answer_of_a_batch_has_a_receipt_of_its_own(stage: Stage, delivered: Delivered) -> None:
    question = {
        "consentId": delivered.consent["consentId"],
        "dataScope": {"scopeType": "DataScopeTypeUDR", "documentType": delivered.consent["scope"]["documentType"]},
        "purpose": delivered.consent["purpose"],
        "document": {"issuerId": delivered.consent["dataProviderId"], "digests": stage.sample["digests"]},
    }
    unknown = question | {"document": question["document"] | {"digests": [{"algorithm": "SM3", "value": "42" * 32}]}}
    reply = await stage.bank_a.call(
        "POST",
        f"{DATA_REQUESTS}/batch",
        token=delivered.token,
        json={"requests": [question, unknown]},
        key=str(uuid.uuid4()),
        headers={"Prefer": f"wait={WAIT}, covered"},
    )
    found = [claims(stage, result["dataRequest"]["receipt"]) for result in reply.json["results"]]
    assert [said["outcome"] for said in found] == ["MATCH", "NOT_REGISTERED"]
    assert len({said["log"]["index"] for said in found}) == 2
    # What a batch does not know is not said to be honoured.
    assert reply.headers["Preference-Applied"] == f"wait={WAIT}"


async def test_the_proof_leads_from_the_receipt_to_a_signed_checkpoint(stage: Stage, delivered: Delivered) -> None:
    receipt, machine = claims(stage, delivered.reply.json["receipt"]), await stage.machine_token()
    reply = await stage.bank_a.proof(delivered.data_request_id, token=machine, wait_seconds=WAIT)
    assert check_proof(stage, reply, receipt) > receipt["log"]["index"]
    assert reply.headers["Preference-Applied"] == f"wait={WAIT}"
    assert reply.headers["Cache-Control"] == "no-store"


async def test_a_bank_checks_receipt_and_proof_with_files_alone(
    stage: Stage, delivered: Delivered, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = await stage.machine_token()
    reply = await stage.bank_a.proof(delivered.data_request_id, token=machine, wait_seconds=WAIT)
    (tmp_path / "proof.txt").write_bytes(reply.body)
    (tmp_path / "receipt.jws").write_text(delivered.reply.json["receipt"] + "\n")
    description = stage.world.description
    code = run(
        [
            *("audit", "prove", "--check", str(tmp_path / "proof.txt"), "--receipt", str(tmp_path / "receipt.jws")),
            *("--key", description["audit"]["vkey"], "--jwks", str(stage.folder / description["reports"]["jwks"])),
            "--json",
        ]
    )
    assert code == 0
    assert orjson.loads(capsys.readouterr().out)["claims"]["dataRequestId"] == delivered.data_request_id


async def test_the_log_is_proved_from_the_command_line_as_well(
    stage: Stage, delivered: Delivered, tmp_path: Path
) -> None:
    receipt, machine = claims(stage, delivered.reply.json["receipt"]), await stage.machine_token()
    await stage.bank_a.proof(delivered.data_request_id, token=machine, wait_seconds=WAIT)
    out = tmp_path / "proof.txt"
    config = str(stage.folder / stage.world.description["config"])
    wanted = ["--config", config, "--record", receipt["jti"], "--out", str(out)]
    assert await asyncio.to_thread(run, ["audit", "prove", *wanted]) == 0
    assert proof.leads(out.read_text(), receipt["log"]["index"], bytes.fromhex(receipt["log"]["leafHash"]))


async def test_an_answer_that_is_wanted_covered_has_its_proof_at_once(stage: Stage, delivered: Delivered) -> None:
    machine = await stage.machine_token()
    reply = await stage.bank_a.ask(
        token=delivered.token,
        consent=delivered.consent,
        digests=stage.sample["digests"],
        wait_seconds=WAIT,
        covered=True,
    )
    assert (reply.status, reply.headers["Preference-Applied"]) == (200, f"wait={WAIT}, covered")
    proved = await stage.bank_a.proof(reply.json["dataRequestId"], token=machine)
    check_proof(stage, proved, claims(stage, reply.json["receipt"]))
    assert "Preference-Applied" not in proved.headers
    again = await stage.bank_a.data_request(reply.json["dataRequestId"], token=machine, covered=True)
    assert (again.status, again.headers["Preference-Applied"]) == (200, "covered")


@pytest.mark.parametrize("bank", ["bank_b", "bank_a"])
async def test_the_proof_of_another_bank_and_of_nobody_do_not_exist(
    stage: Stage, delivered: Delivered, bank: str
) -> None:
    asker = getattr(stage, bank)
    target = delivered.data_request_id if bank == "bank_b" else NOBODYS
    check_problem(await asker.proof(target, token=await stage.machine_token(asker), wait_seconds=WAIT), "NOT_FOUND")


async def test_a_token_without_a_scope_of_data_requests_gets_no_proof(stage: Stage, delivered: Delivered) -> None:
    token = await stage.bank_a.token("cdi:notices")
    check_problem(await stage.bank_a.proof(delivered.data_request_id, token=token), "SCOPE_INSUFFICIENT")
    assert (await stage.bank_a.proof(delivered.data_request_id, token=await stage.bank_a.token(READ))).status == 200


class TestBeforeACheckpoint:
    """Somebody else holds the folder's lock: this gateway records, and publishes nothing until it is given back."""

    @pytest_asyncio.fixture(loop_scope="session")
    async def held(self, tmp_path: Path) -> AsyncIterator[tuple[Stage, TileDirectory]]:
        publisher = TileDirectory(tmp_path / "world" / AUDIT_LOG)
        assert publisher.lock()
        try:
            async with staged(tmp_path / "world", {}) as stage:
                yield stage, publisher
        finally:
            publisher.unlock()

    async def test_an_outcome_that_is_wanted_covered_is_not_final_until_it_is(
        self, held: tuple[Stage, TileDirectory]
    ) -> None:
        stage, publisher = held
        consent, token = await stage.approved()
        reply = await stage.bank_a.ask(
            token=token, consent=consent, digests=stage.sample["digests"], wait_seconds=2, covered=True
        )
        assert (reply.status, reply.headers["Preference-Applied"]) == (202, "wait=2")
        assert reply.json["verification"]["outcome"] == "MATCH"
        data_request, machine = reply.json["dataRequestId"], await stage.machine_token()
        assert reply.headers["Location"].endswith(f"{DATA_REQUESTS}/{data_request}")
        read = await stage.bank_a.data_request(data_request, token=machine, covered=True)
        assert (read.status, read.headers["Location"]) == (202, reply.headers["Location"])
        assert "Preference-Applied" not in read.headers
        assert (await stage.bank_a.data_request(data_request, token=machine)).status == 200

        pending = await stage.bank_a.proof(data_request, token=machine)
        assert (pending.status, pending.headers["Retry-After"]) == (202, "1")
        assert pending.headers["Location"] == f"{reply.headers['Location']}/proof"
        assert VALIDATORS.is_valid("cdi/v1/proof-pending", pending.json), pending.json
        receipt = claims(stage, reply.json["receipt"])
        assert pending.json == {"dataRequestId": data_request, "log": receipt["log"], "covered": 0}

        async with asyncio.TaskGroup() as clients:
            waiting = clients.create_task(
                stage.bank_a.data_request(data_request, token=machine, wait_seconds=WAIT, covered=True)
            )
            publisher.unlock()
        assert (waiting.result().status, waiting.result().headers["Preference-Applied"]) == (
            200,
            f"wait={WAIT}, covered",
        )
        check_proof(stage, await stage.bank_a.proof(data_request, token=machine), receipt)

    async def test_what_was_not_delivered_has_nothing_to_prove(self, held: tuple[Stage, TileDirectory]) -> None:
        stage, _ = held
        consent, token = await stage.approved()
        machine = await stage.machine_token()
        await stage.world.control.faults(mode="outage")
        asked = await stage.bank_a.ask(token=token, consent=consent, digests=stage.sample["digests"])
        data_request = asked.json["dataRequestId"]
        assert "receipt" not in asked.json
        check_problem(await stage.bank_a.proof(data_request, token=machine), "STATE_CONFLICT")
        read = await stage.bank_a.data_request(data_request, token=machine, covered=True)
        assert read.status == 202
        ended = await stage.bank_a.call("POST", f"{DATA_REQUESTS}/{data_request}/cancellation", token=machine)
        assert ended.json["status"] == "DataRequestCancelled"
        # Final without an outcome: nothing to wait for, and nothing that could be covered.
        read = await stage.bank_a.data_request(data_request, token=machine, wait_seconds=WAIT, covered=True)
        assert (read.status, read.headers["Preference-Applied"]) == (200, f"wait={WAIT}")
        check_problem(await stage.bank_a.proof(data_request, token=machine), "STATE_CONFLICT")

    async def test_a_gateway_that_stops_keeps_nobody_waiting(self, held: tuple[Stage, TileDirectory]) -> None:
        stage, _ = held
        consent, token = await stage.approved()
        machine, key = await stage.machine_token(), str(uuid.uuid4())
        question = {"token": token, "consent": consent, "digests": stage.sample["digests"], "key": key}
        async with asyncio.TaskGroup() as clients:
            waiting = clients.create_task(stage.bank_a.ask(**question, wait_seconds=60, covered=True))
            listed = None
            while not listed:  # until the outcome is there, and only the checkpoint is missing
                page = await stage.bank_a.call("GET", f"{DATA_REQUESTS}?status=DataRequestDataShared", token=machine)
                listed = page.json["dataRequests"]
            await stage.world.stop_gateway()
        assert waiting.result().status == 202
        assert waiting.result().json["receipt"] == listed[0]["receipt"]
