"""An export is on record before its file appears; what it holds is what matches, no more and no less."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.casefile.draft import Draft
from adapters.casefile.tables import JsonLinesTable
from gateway.audit.query import Query
from gateway.audit.record import Record
from gateway.compliance.approval import Approval, ApprovalRefused
from gateway.compliance.exporting import Exported, ExportRefused, asked
from gateway.compliance.table_file import TableFile
from gateway.core.model import HashAlgorithm
from gateway.errors import AuditUnavailable
from gateway.ports import Position
from tests import samples
from tests.case_bundles import OPERATOR, World, open_world

OWNER, OTHER = "a" * 64, "b" * 64


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


class Unwritable:
    """The log, of which nothing can be appended any more."""

    def __init__(self, world: World) -> None:
        self._log = world.log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        raise AuditUnavailable


class Lagging:
    async def catch_up(self, size: int, *, seconds: float) -> int:
        return size - 2


async def exported(world: World, text: str = "", *, name: str = "out.jsonl", **changes: Any) -> Exported:
    exporting = world.exporting(**{key: changes.pop(key) for key in ("log", "indexer") if key in changes})
    with Draft(world.folder / name) as draft:
        return await exporting.export(
            world.query(text), TableFile("jsonl", JsonLinesTable(draft.file)), draft, **changes
        )


def lines(world: World, name: str = "out.jsonl") -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (world.folder / name).read_bytes().splitlines()]


async def last_entry(world: World) -> dict[str, Any]:
    (stored,) = await world.log.entries((await world.log.head()).size - 1, 1)
    found: dict[str, Any] = orjson.loads(stored.entry or b"")
    return found


async def test_what_matches_is_in_the_file_and_nothing_else(world: World) -> None:
    await world.append([samples.record(outcome="MATCH" if index % 3 else "MISMATCH") for index in range(1_200)])
    done = await exported(world, "outcome:MISMATCH index:3..1100")
    assert [line["index"] for line in lines(world)] == [index for index in range(3, 1_101) if index % 3 == 0]
    assert (done.tally.records, done.span.first, done.span.end) == (366, 3, 1_101)
    assert {line["condition"] for line in lines(world)} == {"open"}
    assert lines(world)[0]["entry"]["document"]["digest"] == "d" * 64


async def test_the_record_of_it_says_what_left_the_house(world: World) -> None:
    await world.append([samples.record(consent=samples.consent(subject=OWNER)), samples.record()])
    done = await exported(world, f"subject:{OWNER}")
    entry = await last_entry(world)
    assert (entry["type"], entry["count"], entry["subject"]) == ("audit.exported", 1, OWNER)
    assert entry["actor"] == {"participant": OPERATOR.participant, "role": "auditor", "client": OPERATOR.name}
    assert entry["facts"] == {
        "query": f"subject:{OWNER}",
        "format": "jsonl",
        "first": 0,
        "end": 2,
        "sha256": done.sha256,
        "bytes": done.size_bytes,
    }
    assert done.index == 2


async def test_nothing_appears_when_it_cannot_be_recorded(world: World) -> None:
    await world.append([samples.record()])
    with pytest.raises(AuditUnavailable):
        await exported(world, log=Unwritable(world))
    assert not (world.folder / "out.jsonl").exists()
    assert not (world.folder / ".out.jsonl.part").exists()


async def test_the_record_is_there_before_the_file(world: World) -> None:
    await world.append([samples.record()])
    with Draft(world.folder / "out.jsonl") as draft:
        seen: list[bool] = []
        publish = draft.publish

        class Watched:
            finish = draft.finish

            def publish(self) -> None:
                seen.append((world.folder / "out.jsonl").exists())
                publish()

        done = await world.exporting().export(
            world.query(""), TableFile("jsonl", JsonLinesTable(draft.file)), Watched()
        )
    assert seen == [False]
    assert (await last_entry(world))["facts"]["sha256"] == done.sha256


async def test_a_file_that_came_there_meanwhile_stays(world: World) -> None:
    await world.append([samples.record()])

    async def somebody_else() -> None:
        (world.folder / "out.jsonl").write_bytes(b"another's")

    with pytest.raises(FileExistsError):
        await exported(world, agreed=somebody_else)
    assert (world.folder / "out.jsonl").read_bytes() == b"another's"


async def test_an_index_that_lags_is_no_export(world: World) -> None:
    await world.append([samples.record() for _ in range(5)])
    with pytest.raises(ExportRefused, match=r"covers 3 of 5 entries.*index:\.\.2"):
        await exported(world, indexer=Lagging())
    assert (await world.log.head()).size == 5
    # What it covers can be had.
    await world.indexer.catch_up(5, seconds=10)
    assert (await exported(world, "index:..2", indexer=Lagging())).tally.records == 3


async def test_an_erased_owner_is_exported_as_erased(world: World) -> None:
    await world.append([samples.record(consent=samples.consent(subject=subject)) for subject in (OWNER, OTHER)])
    await world.log.erase(OWNER, OPERATOR.record(world.clock.now(), "audit.erased", subject=OWNER))
    done = await exported(world, "type:verification.*")
    erased, other = lines(world)
    assert (erased["condition"], erased["entry"]["sealed"]) == ("erased", "erased")
    assert "digest" not in erased["entry"]["document"]
    assert (other["condition"], done.tally.erased) == ("open", 1)
    # and is not found by the document any more
    done = await exported(world, f"digest:{'d' * 64}", name="by-digest.jsonl")
    assert [line["index"] for line in lines(world, "by-digest.jsonl")] == [1]


async def test_the_approval_is_asked_for_last_and_is_on_record(world: World) -> None:
    await world.append([samples.record()])

    async def agreed() -> Approval:
        return Approval(approval_id="1" * 32, approver="mei", expires_at=0)

    await exported(world, agreed=agreed)
    facts = (await last_entry(world))["facts"]
    assert (facts["approval"], facts["approver"]) == ("1" * 32, "mei")

    async def refused() -> Approval:
        raise ApprovalRefused("used before")

    size = (await world.log.head()).size
    with pytest.raises(ApprovalRefused):
        await exported(world, agreed=refused, name="second.jsonl")
    assert not (world.folder / "second.jsonl").exists()
    assert (await world.log.head()).size == size


async def test_progress_goes_from_the_first_to_the_last_entry_of_the_range(world: World) -> None:
    await world.append([samples.record() for _ in range(1_200)])
    seen: list[tuple[int, int]] = []
    await exported(world, "index:100..", progress=lambda done, of: seen.append((done, of)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert (seen[0], seen[-1], {of for _, of in seen}) == ((500, 1_100), (1_100, 1_100), {1_100})


@pytest.mark.parametrize("text", ["index:50..", "type:audit.pruned", "from:2030-01-01"])
async def test_an_export_of_nothing_is_an_export(world: World, text: str) -> None:
    await world.append([samples.record()])
    assert (await exported(world, text)).tally.records == 0
    assert (await last_entry(world))["count"] == 0


async def test_no_raw_digest_and_no_identity_is_in_the_log(world: World) -> None:
    await world.append([samples.record()])
    digest = "c0ffee" + "1" * 58
    await exported(world, f"digest:{digest} subject:owner-canary")
    stored = b"".join([one.entry or b"" async for one in world.log.read()])
    assert digest.encode() not in stored
    assert b"owner-canary" not in stored
    assert world.keyed("digest", f"{HashAlgorithm.SM3.value}:{digest}").encode() in stored


def test_the_second_person_sees_the_query_the_log_and_the_kind_of_file() -> None:
    found = asked(OPERATOR, "log.example/1", Query(first=1, last=2), "case", 5.0)
    assert (found.action, found.requester) == ("export", OPERATOR.name)
    assert found.what == {"log": "log.example/1", "query": "index:1..2", "format": "case"}
