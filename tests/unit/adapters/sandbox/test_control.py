"""The control address, as a newcomer would use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.sandbox.control_client import ControlClient, ControlFailed
from gateway.core.digest import digests_of
from gateway.profiles.dvp_v1.messages import digests_body
from tests.fakes_sandbox import DOCUMENT, DOCUMENT_TYPE, ISSUER_ID, VALIDATORS, Site

PATH = f"/sources/{ISSUER_ID}/documents"


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[ControlClient]:
    async with Site(tmp_path, block_seconds=None).platform() as control:
        yield control


async def test_a_document_is_issued_by_bytes_or_by_digests(control: ControlClient) -> None:
    by_bytes = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
    body = {"documentType": DOCUMENT_TYPE, "digests": digests_body(digests_of(DOCUMENT))}
    by_digests = await control.call("POST", PATH, json=body)
    assert by_digests == by_bytes
    assert VALIDATORS.is_valid("dvp/v1/evidence-receipt", by_bytes)


async def test_a_document_with_an_end_is_issued(control: ControlClient) -> None:
    receipt = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT, valid_until=1_900_000_000)
    assert receipt["validUntil"] == 1_900_000_000


async def test_blocks_are_made_on_demand(control: ControlClient) -> None:
    assert (await control.make_block())["block"] is None
    receipt = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
    assert receipt["status"] == "PENDING_CHAIN"
    assert (await control.make_block())["block"] == {"number": 0, "transactions": 1}
    assert (await control.evidence(receipt["evidenceId"]))["status"] == "ANCHORED"


async def test_evidence_is_revoked_or_superseded_once(control: ControlClient) -> None:
    receipt = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
    assert (await control.supersede(receipt["evidenceId"]))["status"] == "SUPERSEDED"
    assert (await control.revoke(receipt["evidenceId"]))["status"] == "SUPERSEDED"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sources/NOBODY01/documents", {}, 404),
        (PATH, {"documentType": DOCUMENT_TYPE}, 400),
        (PATH, {"documentType": DOCUMENT_TYPE, "digests": [{"algorithm": "MD5", "value": "0"}]}, 400),
        (PATH, {"documentType": DOCUMENT_TYPE, "digests": [{"algorithm": "SM3", "value": "0"}]}, 400),
        (PATH, {"documentType": "BANK_STATEMENT", "digests": [{"algorithm": "SM3", "value": "0" * 64}]}, 409),
        ("/evidence/none/revocation", {}, 404),
        ("/evidence/none/revocation", {"reason": "free text"}, 400),
        ("/evidence/none/revocation", [], 400),
    ],
)
async def test_what_makes_no_sense_is_refused(control: ControlClient, path: str, body: object, status: int) -> None:
    with pytest.raises(ControlFailed, match=str(status)):
        await control.call("POST", path, json=body)


async def test_faults_are_set_and_read(control: ControlClient) -> None:
    wanted = await control.faults("delay", delay_seconds=2, count=3)
    assert await control.call("GET", "/faults") == wanted
    with pytest.raises(ControlFailed, match="400"):
        await control.faults("nonsense")
    assert await control.call("GET", "/faults") == wanted
