"""The platform over real mutual TLS: what it answers, to whom, and how it lies when it is told to."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from adapters.sandbox.control_client import ControlClient
from adapters.sandbox.signing import KeySigner
from gateway.core.digest import digests_of
from gateway.profiles.dvp_v1 import envelope
from gateway.profiles.dvp_v1.messages import digests_body
from tests.fakes_sandbox import DOCUMENT, DOCUMENT_TYPE, ISSUER_ID, Site, message, question

DIGESTS = digests_body(digests_of(DOCUMENT))
OTHER = digests_body(digests_of(b"another document"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
async def control(site: Site) -> AsyncIterator[ControlClient]:
    async with site.platform() as control:
        yield control


async def test_a_registered_document_matches(site: Site, control: ControlClient) -> None:
    await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
    asked = question(DIGESTS)
    answer = await site.exchange(asked)
    assert answer.message_type == "VerificationResult"
    assert answer.in_reply_to == asked.message_id
    assert (answer.body["requestId"], answer.body["outcome"]) == (asked.body["requestId"], "MATCH")


async def test_the_same_request_id_is_answered_again(site: Site, control: ControlClient) -> None:
    await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
    first = question(DIGESTS)
    again = message("VerificationRequest", first.body)
    answers = [await site.exchange(first), await site.exchange(again)]
    assert {answer.body["outcome"] for answer in answers} == {"MATCH"}
    assert {answer.body["requestId"] for answer in answers} == {first.body["requestId"]}


async def test_another_document_mismatches_under_the_voucher_only(site: Site, control: ControlClient) -> None:
    receipt = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
    named, unnamed = await site.exchange(question(OTHER, receipt["voucher"])), await site.exchange(question(OTHER))
    assert (named.body["outcome"], unnamed.body["outcome"]) == ("MISMATCH", "NOT_REGISTERED")
    assert "evidence" not in unnamed.body


async def test_what_has_no_block_is_pending_until_it_is_made(tmp_path: Path) -> None:
    site = Site(tmp_path, block_seconds=None)
    async with site.platform() as control:
        await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
        before = await site.exchange(question(DIGESTS))
        await control.make_block()
        after = await site.exchange(question(DIGESTS))
    assert (before.body["outcome"], before.body["reason"]) == ("INDETERMINATE", "PENDING_ON_CHAIN")
    assert after.body["outcome"] == "MATCH"


async def test_evidence_and_its_status_survive_a_restart(site: Site) -> None:
    async with site.platform() as control:
        receipt = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
        await control.revoke(receipt["evidenceId"])
    async with site.platform() as control:
        answer = await site.exchange(question(DIGESTS, receipt["voucher"]))
        journal = await control.journal()
    assert answer.body["outcome"] == "REVOKED"
    assert [entry["sequence"] for entry in journal] == [1]


async def test_the_status_of_evidence_is_told(site: Site, control: ControlClient) -> None:
    receipt = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
    answer = await site.exchange(message("EvidenceStatusQuery", {"evidenceId": receipt["evidenceId"]}))
    assert (answer.message_type, answer.body["status"]) == ("EvidenceStatus", "ANCHORED")


async def test_a_gateway_cannot_register_or_revoke_for_a_source(site: Site, control: ControlClient) -> None:
    receipt = await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
    names = ("evidenceId", "documentType", "issuerId", "digests", "issuerSignature")
    registration = {name: receipt[name] for name in names}
    revocation = {"evidenceId": receipt["evidenceId"], "reason": "OTHER", "revokedAt": 1}
    answers = [
        await site.exchange(message("EvidenceRegistration", registration)),
        await site.exchange(message("EvidenceRevocation", revocation)),
    ]
    assert [answer.message_type for answer in answers] == ["ErrorResponse", "ErrorResponse"]
    assert (await control.evidence(receipt["evidenceId"]))["status"] == "ANCHORED"


async def test_a_message_is_taken_once(site: Site, control: ControlClient) -> None:
    token = envelope.seal(question(DIGESTS), site.gateway_signer)
    await site.post(token)
    _, body = await site.post(token)
    answer = site.opened(body)
    assert (answer.message_type, answer.body["code"]) == ("ErrorResponse", "MESSAGE_REPLAYED")
    assert len(await control.journal()) == 2


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"receiver": "DVPSANDBOX02"}, "ENVELOPE_RECEIVER"),
        ({"sender": "BANKA01DC"}, "ENVELOPE_SENDER"),
        ({"issued_at": 1_000_000_000, "expires_at": 1_000_000_060}, "ENVELOPE_STALE"),
        ({"version": "2.0"}, "ENVELOPE_VERSION"),
    ],
)
async def test_a_wrong_envelope_is_refused(
    site: Site, control: ControlClient, claims: dict[str, object], code: str
) -> None:
    answer = await site.exchange(question(DIGESTS, **claims))
    assert (answer.message_type, answer.body["code"]) == ("ErrorResponse", code)
    assert await control.journal() == []


async def test_a_signature_of_another_key_is_refused(site: Site, control: ControlClient) -> None:
    forger = KeySigner.create(site.gateway_signer.key_id)
    _, body = await site.post(envelope.seal(question(DIGESTS), forger))
    assert site.opened(body).body["code"] == "ENVELOPE_SIGNATURE"
    assert await control.journal() == []


async def test_a_certificate_that_is_no_members_is_refused(site: Site, control: ControlClient) -> None:
    status, _ = await site.post(envelope.seal(question(DIGESTS), site.gateway_signer), client="platform/tls/client")
    assert status == 403
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await site.post(envelope.seal(question(DIGESTS), site.gateway_signer), client="clients/bank-a")
    assert await control.journal() == []


async def test_the_journal_holds_what_was_asked(site: Site, control: ControlClient) -> None:
    asked = question(DIGESTS)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await site.exchange(asked, traceparent=trace)
    (entry,) = await control.journal()
    assert entry["claims"] == asked.body
    assert entry["traceparent"] == trace
    assert entry["messageId"] == asked.message_id
    assert entry["answer"]["outcome"] == "NOT_REGISTERED"
    assert await control.journal(after=1) == []


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("wrong_signature", "SIGNATURE"),
        ("stale_answer", "STALE"),
        ("unknown_sender", "SENDER"),
        ("garbage", "TYPE"),
        ("outage", "TYPE"),
        ("http_500", "TYPE"),
    ],
)
async def test_a_fault_of_the_envelope_is_noticed(site: Site, control: ControlClient, mode: str, reason: str) -> None:
    await control.faults(mode, count=1)
    with pytest.raises(envelope.EnvelopeError, match=reason):
        await site.exchange(question(DIGESTS))
    assert (await site.exchange(question(DIGESTS))).body["outcome"] == "NOT_REGISTERED"


@pytest.mark.parametrize("mode", ["close", "truncated"])
async def test_a_connection_that_ends_early_brings_no_answer(site: Site, control: ControlClient, mode: str) -> None:
    await control.faults(mode, count=1)
    with pytest.raises(aiohttp.ClientError):
        await site.exchange(question(DIGESTS))
    assert [entry["fault"] for entry in await control.journal()] == [mode]


async def test_an_answer_is_replayed(site: Site, control: ControlClient) -> None:
    first = await site.exchange(question(DIGESTS))
    await control.faults("replayed_answer", count=1)
    assert await site.exchange(question(DIGESTS)) == first
    await control.faults("duplicate", count=1)
    asked = question(DIGESTS)
    second = await site.exchange(asked)
    assert (second.message_id, second.in_reply_to) == (first.message_id, asked.message_id)


async def test_an_answer_refers_to_something_else(site: Site, control: ControlClient) -> None:
    asked = question(DIGESTS)
    await control.faults("wrong_reference", count=1)
    assert (await site.exchange(asked)).in_reply_to != asked.message_id
    await control.faults("wrong_request", count=1)
    assert (await site.exchange(question(DIGESTS))).body["requestId"] != asked.body["requestId"]


async def test_a_fault_waits_for_its_message_type(site: Site, control: ControlClient) -> None:
    await control.faults("ack", match="EvidenceStatusQuery")
    assert (await site.exchange(question(DIGESTS))).message_type == "VerificationResult"
    status = await site.exchange(message("EvidenceStatusQuery", {"evidenceId": str(uuid.uuid4())}))
    assert status.message_type == "Ack"


async def test_simultaneous_questions_are_all_answered(site: Site, control: ControlClient) -> None:
    await control.issue(ISSUER_ID, DOCUMENT_TYPE, DOCUMENT)
    answers = await asyncio.gather(*(site.exchange(question(DIGESTS)) for _ in range(20)))
    assert {answer.body["outcome"] for answer in answers} == {"MATCH"}
    assert len({answer.message_id for answer in answers}) == 20
