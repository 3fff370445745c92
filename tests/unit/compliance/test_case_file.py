"""A case bundle waits for its checkpoint, takes the best one, and refuses to be made of what does not hold together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import orjson
import pytest

from gateway.audit import case, published
from gateway.compliance.exporting import ExportRefused
from gateway.ports import StoredEntry
from tests import samples
from tests.case_bundles import (
    OPERATOR,
    VKEY,
    WITNESS_VKEY,
    World,
    keeper,
    open_world,
    timestamp_response,
    unzipped,
    verify,
)
from tests.published_log import ORIGIN, checkpoint, log_signer, witness_signer

OWNER = "a" * 64


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def filled(world: World, count: int = 5) -> None:
    await world.append([samples.record(consent=samples.consent(subject=OWNER)) for _ in range(count)])


def holds(world: World, name: str = "case.zip") -> str:
    code, said = verify(world.folder / name, "--key", VKEY, "--witness", WITNESS_VKEY)
    assert code == 0, said
    return said


async def test_it_holds_the_records_as_they_are_hashed_and_as_they_are_read(world: World) -> None:
    await filled(world, 600)
    await world.publish()
    await world.case("index:255..257")
    files = unzipped(world.folder / "case.zip")
    for index in (255, 256, 257):
        (stored,) = await world.log.entries(index, 1)
        assert files[f"records/{index}.json"] == stored.entry
        shown = orjson.loads(files[f"opened/{index}.json"])
        assert (shown["leafHash"], shown["condition"]) == (stored.leaf_hash.hex(), "open")
        assert shown["entry"]["document"]["digest"] == "d" * 64
        assert b"d" * 64 not in files[f"records/{index}.json"]
    assert files["records.csv"].count(b"\r\n") == 4
    assert files["checkpoint"] == (world.folder / "published/checkpoint").read_bytes()
    assert "3 record(s) are entries of the log" in holds(world)


@pytest.mark.parametrize("whole", [False, True])
async def test_the_bundle_of_an_erased_owner_holds_and_says_erased(world: World, whole: bool) -> None:
    await filled(world)
    await world.log.erase(OWNER, OPERATOR.record(world.clock.now(), "audit.erased", subject=OWNER))
    await world.publish()
    done = await world.case(f"subject:{OWNER}", whole=whole)
    files = unzipped(world.folder / "case.zip")
    assert done.tally.erased == 5
    assert orjson.loads(files["opened/0.json"])["condition"] == "erased"
    assert not any(b"d" * 64 in data for data in files.values())
    assert "of 5 the private fields were erased" in holds(world)


async def test_pruned_entries_of_the_range_are_said(world: World) -> None:
    await filled(world, 300)
    await world.publish()
    head = await world.log.head()
    await world.log.prune(256, OPERATOR.record(world.clock.now(), "audit.pruned", facts={"below": 256}))

    # The published folder is older than the pruning: the hashes are all there.
    assert head.size == 300
    await world.case("index:250..299", whole=True)
    assert "Of entries 250 to 255 there are only the hashes" in holds(world)
    assert "records/255.json" not in unzipped(world.folder / "case.zip")


async def test_it_waits_for_a_checkpoint_over_all_that_is_searched(world: World) -> None:
    await filled(world)
    await world.publish()
    await filled(world)
    async with asyncio.TaskGroup() as tasks:
        made = tasks.create_task(world.case(poll_seconds=0.001))
        await asyncio.sleep(0)
        await world.publish()
    assert (await made).span.end == 10
    holds(world)


async def test_without_a_checkpoint_in_time_it_is_refused(world: World) -> None:
    await filled(world)
    with pytest.raises(ExportRefused, match="covers 0 of 5 entries"):
        await world.case(covered_seconds=0)
    await world.publish()
    await filled(world, 1)
    with pytest.raises(ExportRefused, match=r"covers 5 of 6 entries.*index:\.\.4"):
        await world.case(covered_seconds=0)
    assert (await world.case("index:..4", covered_seconds=0)).tally.records == 5
    assert (await world.log.head()).size == 7  # one record, of the export that was made


async def test_a_witnessed_checkpoint_is_preferred_when_it_covers_the_range(world: World) -> None:
    await filled(world)
    await world.publish(witnesses=[witness_signer()])
    folder = world.folder / "published"
    (folder / published.WITNESSED).write_bytes((folder / "checkpoint").read_bytes())
    await filled(world, 1)
    await world.publish()
    await world.case("index:..4", name="witnessed.zip")
    assert "Witness witness.example.com/w1 cosigned" in holds(world, "witnessed.zip")
    await world.case("index:..5", name="newest.zip")
    assert "No witness that is known here cosigned" in holds(world, "newest.zip")


async def test_time_stamps_that_matter_are_in_it(world: World) -> None:
    for count in (3, 300, 5, 4):
        await filled(world, count)
        await world.publish(stamped=True)
    await filled(world)
    await world.publish()
    await world.case("index:..10")
    manifest = orjson.loads(unzipped(world.folder / "case.zip")["manifest.json"])
    assert manifest["timestamps"] == [303, 312]  # the first that covers all records, and the newest
    assert holds(world).count("A time-stamp says that all records were in this log") == 2


async def test_a_time_stamp_of_another_log_is_refused(world: World) -> None:
    await filled(world)
    await world.publish()
    other = checkpoint([b"a", b"b", b"c"]).encode()
    folder = world.folder / "published"
    (folder / "timestamps").mkdir()
    (folder / published.stamped(3)).write_bytes(other)
    (folder / published.token(3)).write_bytes(timestamp_response(other))
    with pytest.raises(ExportRefused, match="size 3 is not of this log"):
        await world.case()
    (folder / published.stamped(3)).write_bytes(b"no note")
    with pytest.raises(ExportRefused, match="size 3 cannot be used"):
        await world.case()
    assert not (world.folder / "case.zip").exists()


async def test_published_files_that_are_not_of_the_log_are_refused(world: World) -> None:
    await filled(world)
    await world.publish()
    tile = world.folder / "published/tile/0/000.p/5"
    good = tile.read_bytes()
    tile.write_bytes(good[:32][::-1] + good[32:])
    with pytest.raises(ExportRefused, match="entry 1 is not the published one"):
        await world.case("index:1")
    tile.unlink()
    with pytest.raises(ExportRefused, match="missing"):
        await world.case()
    (world.folder / "published/checkpoint").write_bytes(checkpoint([b"a"], signers=[log_signer(2)]).encode())
    with pytest.raises(ExportRefused, match="checkpoint cannot be used"):
        await world.case()


async def test_an_incomplete_range_is_refused(world: World) -> None:
    class Shortened:
        async def entries(self, start: int, count: int) -> Sequence[StoredEntry]:
            return [one for one in await world.log.entries(start, count) if one.index != 3]

        async def head(self) -> object:
            return await world.log.head()

    await filled(world)
    await world.publish()
    with pytest.raises(ExportRefused, match="entries from 0 on are missing"):
        await world.case(whole=True, log=Shortened())


async def test_too_many_records_are_for_a_table(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "RECORDS_MAX", 4)
    await filled(world)
    await world.publish()
    with pytest.raises(ExportRefused, match="more than 4 records match"):
        await world.case()


async def test_a_tile_that_has_filled_up_stands_for_its_partial_one(world: World) -> None:
    await filled(world, 200)
    await world.publish()
    older = (world.folder / "published/checkpoint").read_bytes()
    await filled(world, 100)
    await world.publish()
    (world.folder / "published/tile/0/000.p/200").unlink()
    (world.folder / "published/checkpoint").write_bytes(older)
    await world.case("index:190..199", whole=True)
    holds(world)


async def test_equal_exports_are_equal_files(world: World) -> None:
    await filled(world)
    await world.publish()
    first = await world.case("index:..4")
    second = await world.case("index:..4", name="second.zip")
    assert first.sha256 == second.sha256
    assert (world.folder / "case.zip").read_bytes() == (world.folder / "second.zip").read_bytes()


async def test_it_is_signed_by_every_key_of_the_log(world: World) -> None:
    await filled(world)
    entries = [stored.entry or b"" async for stored in world.log.read()]
    await world.publish()
    both = [log_signer(), log_signer(2)]
    (world.folder / "published/checkpoint").write_bytes(checkpoint(entries, signers=both).encode())
    signers = [log_signer(number, name=case.case_name(ORIGIN)) for number in (1, 2)]
    await world.case(keeper=keeper(log_signers=both, case_signers=signers))
    for signer in both:
        assert verify(world.folder / "case.zip", "--key", str(signer.verifier))[0] == 0
