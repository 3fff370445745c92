"""kill -9 of the gateway at random moments under load, fifty times; then every promise is counted.

The checker knows every request that it sent, and compares its own record with the gateway's answers, its databases,
its audit log and the platform's journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

import schemas
from adapters.sandbox.bank import CONSENTS, READ, Bank
from adapters.sandbox.world import World
from gateway.core.merkle import leaf_hash

KILLS = 50
CLIENTS = 8
DOCUMENTS = 40
CONSENT_USES = (3, 40, 1_000, 1_000)
SEED = 20_261_123
FINAL_SECONDS = 60
SETTINGS = {
    "rates": {"participant": {"per_second": 100_000, "burst": 100_000}},
    "log": {"level": "warning"},
    "exchange": {
        "lease_seconds": 11,
        "retry_first_seconds": 0.2,
        "retry_max_seconds": 1,
        "worker_interval_seconds": 0.1,
    },
}
TROUBLE = (aiohttp.ClientError, ConnectionError, TimeoutError)
OPEN = {"PENDING", "DataRequestApproved"}


@dataclass(slots=True)
class Sent:
    """One question of the bank, however often it was sent."""

    key: str
    consent: dict[str, Any]
    document: dict[str, Any]
    voucher: str | None
    answers: list[dict[str, Any]] = field(default_factory=list)  # data requests as they were answered
    refusals: list[str] = field(default_factory=list)  # error codes


class Load:
    """Clients that ask and, when the gateway goes away, ask again with the same key, as a bank's system would."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.sent: list[Sent] = []
        self.asked = asyncio.Condition()
        self.attempts = 0
        self.ending = False
        self._renewing = asyncio.Lock()
        self._tokens: dict[str, str] = {}
        self._tokens_at = float("-inf")

    async def run(self, bank: Bank, consents: list[dict[str, Any]], documents: list[dict[str, Any]]) -> None:
        while not self.ending:
            question = Sent(
                key=str(uuid.uuid4()),
                consent=self.chance.choice(consents),
                document=self.chance.choice(documents),
                voucher=None,
            )
            if self.chance.random() < 0.3:  # a document that nobody registered
                digest = {"algorithm": "SHA256", "value": self.chance.randbytes(32).hex()}
                question.document = {"digests": [digest], "voucher": None}
            self.sent.append(question)
            await self._until_answered(bank, consents, question)

    async def _until_answered(self, bank: Bank, consents: list[dict[str, Any]], question: Sent) -> None:
        wait = self.chance.choice([None, 1, 5])
        while True:
            async with self.asked:
                self.attempts += 1
                self.asked.notify_all()
            try:
                await self._fresh_tokens(bank, consents)
                reply = await bank.ask(
                    token=self._tokens[question.consent["consentId"]],
                    consent=question.consent,
                    digests=question.document["digests"],
                    wait_seconds=wait,
                    key=question.key,
                )
            except TROUBLE:
                await self.world.wait_gateway()
                continue
            assert reply.status < 500 or reply.status == 503, reply.json
            if reply.status in {200, 202}:
                question.answers.append(reply.json)
                return
            assert reply.code is not None
            question.refusals.append(reply.code)
            if reply.status == 403:
                return

    async def _fresh_tokens(self, bank: Bank, consents: list[dict[str, Any]]) -> None:
        async with self._renewing:
            if time.monotonic() - self._tokens_at > 100:
                self._tokens = {item["consentId"]: await bank.token(consent=item) for item in consents}
                self._tokens_at = time.monotonic()


@pytest.mark.timeout(900)
async def test_nothing_is_lost_or_doubled_when_the_gateway_is_killed_fifty_times(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    world = World(tmp_path, schemas=schemas.load(), port_base=0, block_seconds=0.2, settings=SETTINGS)
    async with world, Bank(world.folder, world.description, "bank-a") as bank:
        consents = [await _consent(bank, uses) for uses in CONSENT_USES]
        documents = [
            await world.control.issue("SZCREDIT01DP", "CORPORATE_CREDIT_REPORT", b"report %d" % number)
            for number in range(DOCUMENTS)
        ]
        await world.control.make_block()
        load = Load(world, chance)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CLIENTS):
                tasks.create_task(load.run(bank, consents, documents))
            for _ in range(KILLS):
                await _some_requests_later(load, chance)
                await world.kill_gateway()
                await world.start_gateway()
            load.ending = True
        final = await _all_final(bank, load)
        notices = await _notices(bank)
        journal = world.folder / "platform/journal.jsonl"
        questions = _questions(journal)
        consents = [await _read_consent(bank, item["consentId"]) for item in consents]
        await world.stop_gateway()

        accepted = {sent.answers[0]["dataRequestId"]: sent for sent in load.sent if sent.answers}
        _every_accepted_request_is_final(accepted, final)
        _every_key_made_one_request(load, final)
        _no_request_was_asked_with_two_ids(world.folder / "data/gateway.db", questions)
        _uses_add_up(consents, final, world.folder / "data/gateway.db")
        _every_answer_has_its_two_records(load, final, world.folder / "data/audit.db")
        _every_final_request_was_noticed(final, notices)
        _outcomes_are_true(accepted, final)
        assert len(accepted) > KILLS, "too little load for the kills to meet anything"


async def _consent(bank: Bank, uses: int) -> dict[str, Any]:
    reply = await bank.submit_consent(
        token=await bank.token(CONSENTS),
        provider_id="SZCREDIT01DP",
        document_type="CORPORATE_CREDIT_REPORT",
        expire_time=int(time.time()) + 86_400,
        max_uses=uses,
    )
    assert reply.status == 201, reply.json
    await bank.approve(reply.json)
    return dict(reply.json)


async def _read_consent(bank: Bank, consent_id: str) -> dict[str, Any]:
    reply = await bank.call("GET", f"/cdi/v1/consents/{consent_id}", token=await bank.token(CONSENTS))
    return dict(reply.json)


async def _some_requests_later(load: Load, chance: random.Random) -> None:
    """A moment that depends on nothing but chance: some more requests have been sent, and then a little more."""
    until = load.attempts + chance.randint(1, 40)
    async with load.asked:
        await load.asked.wait_for(lambda: load.attempts >= until)
    await asyncio.sleep(chance.random() * 0.03)


async def _all_final(bank: Bank, load: Load) -> dict[str, dict[str, Any]]:
    """All data requests by id, once none is open."""
    end = time.monotonic() + FINAL_SECONDS
    while True:
        found: dict[str, dict[str, Any]] = {}
        token, after = await bank.token(READ), ""
        while True:
            page = (await bank.call("GET", f"/cdi/v1/data-requests?limit=200{after}", token=token)).json
            found |= {item["dataRequestId"]: item for item in page["dataRequests"]}
            if "next" not in page:
                break
            after = f"&after={page['next']}"
        still_open = [item for item in found.values() if item["status"] in OPEN]
        if not still_open:
            return found
        assert time.monotonic() < end, f"{len(still_open)} of {len(found)} requests are still open"
        with contextlib.suppress(KeyError):
            await bank.data_request(still_open[0]["dataRequestId"], token=token, wait_seconds=1)


async def _notices(bank: Bank) -> set[str]:
    token, after, seen = await bank.token("cdi:notices"), 0, set()
    while True:
        page = (await bank.notices(token=token, after=after)).json
        if not page["notices"]:
            return seen
        seen |= {item["dataRequestId"] for item in page["notices"] if item["type"] == "DATA_REQUEST_FINAL"}
        after = page["next"]


def _questions(journal: Path) -> dict[str, set[str]]:
    """Request ids that the platform was asked with → what was asked under each."""
    asked: dict[str, set[str]] = defaultdict(set)
    for line in journal.read_bytes().splitlines():
        body = orjson.loads(line).get("claims") or {}
        if "requestId" in body:
            asked[body["requestId"]].add(orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode())
    return asked


def _every_accepted_request_is_final(accepted: dict[str, Sent], final: dict[str, dict[str, Any]]) -> None:
    assert set(accepted) <= set(final)
    assert {final[request]["status"] for request in accepted} == {"DataRequestDataShared"}


def _every_key_made_one_request(load: Load, final: dict[str, dict[str, Any]]) -> None:
    for sent in load.sent:
        assert len({answer["dataRequestId"] for answer in sent.answers}) <= 1
    # Questions whose answer never arrived may have made one too, and no more than one.
    assert len(final) <= len(load.sent)


def _no_request_was_asked_with_two_ids(database: Path, questions: dict[str, set[str]]) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT exchange_id, request FROM exchanges").fetchall()
    ids = {orjson.loads(request)["request_id"] for _, request in rows}
    assert len(ids) == len(rows)
    assert set(questions) <= ids, "the platform was asked something that the gateway does not know of"
    assert ids <= set(questions), "a final request was never asked"
    assert all(len(bodies) == 1 for bodies in questions.values()), "one request id stood for two questions"


def _uses_add_up(consents: list[dict[str, Any]], final: dict[str, dict[str, Any]], database: Path) -> None:
    delivered: dict[str, int] = defaultdict(int)
    for item in final.values():
        delivered[item["consentId"]] += item["status"] == "DataRequestDataShared"
    for consent in consents:
        assert consent["usage"]["used"] == delivered[consent["consentId"]] <= consent["usage"]["maxUses"]
        expected = "ConsentConsumed" if consent["usage"]["used"] == consent["usage"]["maxUses"] else "ConsentValid"
        assert consent["status"] == expected
    assert consents[0]["status"] == "ConsentConsumed", "the small consent was to be used up"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT sum(reserved) FROM consents").fetchone() == (0,)


def _every_answer_has_its_two_records(load: Load, final: dict[str, dict[str, Any]], database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT idx, entry, leaf_hash FROM entries ORDER BY idx").fetchall()
    assert [row[0] for row in rows] == list(range(len(rows)))
    assert all(leaf_hash(bytes(entry)) == bytes(digest) for _, entry, digest in rows)
    first: dict[tuple[str, str], int] = {}
    outcomes: dict[str, set[str]] = defaultdict(set)
    for index, entry, _ in rows:
        body = orjson.loads(entry)
        if "request" in body:
            first.setdefault((body["request"], body["type"]), index)
            if body["type"] == "verification.decided":
                outcomes[body["request"]].add(body["outcome"])
    answered = [answer for sent in load.sent for answer in sent.answers if answer["status"] == "DataRequestDataShared"]
    for item in [*answered, *final.values()]:
        request = item["dataRequestId"]
        assert first[request, "verification.intended"] < first[request, "verification.decided"]
        assert item["verification"]["outcome"] in outcomes[request]


def _every_final_request_was_noticed(final: dict[str, dict[str, Any]], notices: set[str]) -> None:
    assert set(final) == notices


def _outcomes_are_true(accepted: dict[str, Sent], final: dict[str, dict[str, Any]]) -> None:
    for request, sent in accepted.items():
        registered = sent.document["voucher"] is not None
        assert final[request]["verification"]["outcome"] == ("MATCH" if registered else "NOT_REGISTERED")
