"""Publication: what a checkpoint covers is there before it, one process signs, and trouble stops no append."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.tiles.directory import TileDirectory
from gateway.audit import note, proof
from gateway.audit.note import COSIGNATURE_V1, Checkpoint, NoteSigner
from gateway.audit.tiles import tiles_of
from gateway.errors import AuditUnavailable
from gateway.followers.history import LogDiffers, LogRolledBack
from gateway.followers.publisher import Publisher
from gateway.ports import Head
from tests.fakes import FakeClock
from tests.fakes_trail import (
    LOG,
    BreakingDirectory,
    MemoryLog,
    Watcher,
    Witnesses,
    files_of,
    log_key,
    publisher,
    signer,
)


def opened(folder: Path, *keys: int) -> Checkpoint:
    """The published checkpoint, verified."""
    verifiers = [signer(number).verifier for number in keys or (1,)]
    return note.open_checkpoint((folder / "checkpoint").read_bytes(), origin=LOG, keys=verifiers)


async def test_every_growth_is_published_with_all_files_of_its_tree(tmp_path: Path) -> None:
    log, store = MemoryLog(3), TileDirectory(tmp_path)
    one, watcher = publisher(log, store)
    await one.start()
    for count in (0, 1, 300, 252, 256, 1_000):
        log.grow(count)
        await one.attempt()
        assert opened(tmp_path) == log.signed()
        assert files_of(tmp_path).keys() == {"checkpoint"} | {tile.path for tile in tiles_of(len(log.rows))} | {
            tile.path
            for size in watcher.sizes
            for tile in tiles_of(size)
            # Partial tiles of published checkpoints stay until the full one is there.
            if tile.width < 256 and len(log.rows) >> 8 * max(tile.level, 0) < (tile.number + 1) * 256
        }
    assert watcher.errors == []
    assert one.covered() == len(log.rows)


async def test_nothing_is_signed_for_a_log_at_rest_or_an_empty_one(tmp_path: Path) -> None:
    log = MemoryLog()
    one, watcher = publisher(log, TileDirectory(tmp_path))
    await one.start()
    assert files_of(tmp_path) == {}
    log.grow(1)
    await one.attempt()
    changed = (tmp_path / "checkpoint").stat().st_mtime_ns
    await one.attempt()
    assert (tmp_path / "checkpoint").stat().st_mtime_ns == changed
    assert watcher.sizes == [1]


async def test_proofs_and_waits_follow_the_checkpoint(tmp_path: Path) -> None:
    log = MemoryLog(5)
    one, _ = publisher(log, TileDirectory(tmp_path))
    assert await one.proof(4) is None
    waiting = asyncio.ensure_future(one.wait_covered(4, timeout_seconds=30))
    await asyncio.sleep(0)
    await one.start()
    assert await waiting
    text = await one.proof(4)
    assert text is not None
    proof.verify(proof.parse(text), log.rows[4].leaf_hash, origin=LOG, keys=[signer().verifier])
    assert not await one.wait_covered(5, timeout_seconds=0)


async def test_run_ends_with_one_more_round(tmp_path: Path) -> None:
    log, stop = MemoryLog(1), asyncio.Event()
    one, _ = publisher(log, TileDirectory(tmp_path), interval_seconds=30)
    await one.start()
    running = asyncio.ensure_future(one.run(stop))
    await asyncio.sleep(0)
    log.grow(7)
    stop.set()
    await running
    assert opened(tmp_path).size == 8


async def test_a_full_disk_is_an_alarm_and_no_more(tmp_path: Path) -> None:
    log, store = MemoryLog(1), BreakingDirectory(tmp_path)
    one, watcher = publisher(log, store)
    await one.start()
    for left in range(3):  # files, incomplete files, checkpoint
        log.grow(300)
        store.writes_left = left
        await one.attempt()
        assert isinstance(watcher.errors.pop(), AuditUnavailable)
        assert opened(tmp_path).size == one.covered() < len(log.rows)
        store.writes_left = None
        await one.attempt()
        assert opened(tmp_path) == log.signed()
    assert watcher.errors == []


async def test_a_full_disk_at_the_start_does_not_stop_it(tmp_path: Path) -> None:
    log, store = MemoryLog(5), BreakingDirectory(tmp_path)
    store.writes_left = 0
    one, watcher = publisher(log, store)
    await one.start()
    assert len(watcher.errors) == 1
    store.writes_left = None
    await one.attempt()
    assert opened(tmp_path) == log.signed()


async def test_a_full_disk_at_a_later_start_does_not_stop_it_either(tmp_path: Path) -> None:
    log, first = MemoryLog(5), TileDirectory(tmp_path)
    await publisher(log, first)[0].start()
    first.unlock()
    log.grow(3)
    store = BreakingDirectory(tmp_path)
    store.writes_left = 0
    one, watcher = publisher(log, store)
    await one.start()
    assert watcher.errors
    assert opened(tmp_path).size == one.covered() == 5
    store.writes_left = None
    await one.attempt()
    assert opened(tmp_path) == log.signed()


async def test_an_unreadable_log_is_an_alarm_and_no_more(tmp_path: Path) -> None:
    log = MemoryLog(1)
    one, watcher = publisher(log, TileDirectory(tmp_path))
    await one.start()
    log.grow(1)
    log.broken = True
    await one.attempt()
    assert len(watcher.errors) == 1
    log.broken = False
    await one.attempt()
    assert opened(tmp_path).size == 2


async def test_entries_that_do_not_lead_to_the_committed_root_are_not_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = MemoryLog(5)
    one, watcher = publisher(log, TileDirectory(tmp_path))
    await one.start()
    log.grow(5)

    async def lying() -> Head:
        return Head(origin=LOG, size=10, root=bytes(32), pruned=0)

    monkeypatch.setattr(log, "head", lying)
    await one.attempt()
    assert isinstance(watcher.errors[0], LogDiffers)
    assert opened(tmp_path).size == 5
    monkeypatch.undo()
    await one.attempt()  # from what is signed: nothing of the lie is left
    assert opened(tmp_path) == log.signed()

    fresh, _ = publisher(log, TileDirectory(tmp_path / "fresh"))
    monkeypatch.setattr(log, "head", lying)
    with pytest.raises(LogDiffers):
        await fresh.start()


async def test_a_log_that_goes_back_while_it_runs_is_signed_no_more(tmp_path: Path) -> None:
    log = MemoryLog(10)
    one, watcher = publisher(log, TileDirectory(tmp_path))
    await one.start()
    log.cut(7)
    await one.attempt()
    assert isinstance(watcher.errors[0], LogRolledBack)
    assert opened(tmp_path).size == 10


async def test_a_refused_history_is_looked_at_ever_less_often(tmp_path: Path) -> None:
    log, store = MemoryLog(10), BreakingDirectory(tmp_path)
    one, _ = publisher(log, store, interval_seconds=1.0)
    await one.start()
    assert one.pause_seconds(0.0) == 1.0
    log.grow(1)
    store.writes_left = 0
    for _ in range(20):
        await one.attempt()
    assert one.pause_seconds(0.0) == 30.0  # a full disk, which costs little to try
    log.cut(7)
    await one.attempt()
    assert one.pause_seconds(0.0) == 300.0
    store.writes_left = None
    log.grow(4)  # what was there before
    await one.attempt()
    assert one.pause_seconds(0.0) == 1.0


async def test_bundles_of_pruned_entries_go_when_the_next_checkpoint_is_there(tmp_path: Path) -> None:
    log = MemoryLog(600)
    one, _ = publisher(log, TileDirectory(tmp_path))
    await one.start()
    log.prune(512)
    log.grow(1)
    await one.attempt()
    assert {path for path in files_of(tmp_path) if "entries" in path} == {
        "tile/entries/002.p/88",
        "tile/entries/002.p/89",
    }
    assert {"tile/0/000", "tile/0/001"} < files_of(tmp_path).keys()


# --- several processes ----------------------------------------------------------------------------------------------


async def two(folder: Path, log: MemoryLog) -> tuple[Publisher, Publisher, TileDirectory, Watcher]:
    first_store, second_store = TileDirectory(folder), TileDirectory(folder)
    first, _ = publisher(log, first_store)
    await first.start()
    second, watcher = publisher(log, second_store)
    await second.start()
    return first, second, first_store, watcher


async def test_a_folder_that_is_lost_while_it_runs_is_made_anew(tmp_path: Path) -> None:
    log, folder = MemoryLog(600), tmp_path / "log"
    one, watcher = publisher(log, TileDirectory(folder))
    await one.start()
    before = files_of(folder)
    folder.rename(tmp_path / "moved")
    await one.attempt()
    assert files_of(folder) == before
    assert one.publishes()
    assert watcher.errors == []


async def test_who_lost_the_folder_to_another_process_looks_on(tmp_path: Path) -> None:
    log, folder = MemoryLog(600), tmp_path / "log"
    one, _ = publisher(log, TileDirectory(folder))
    await one.start()
    folder.rename(tmp_path / "moved")
    other, _ = publisher(log, TileDirectory(folder))
    await other.start()
    await one.attempt()
    assert (one.publishes(), other.publishes()) == (False, True)


async def test_only_one_process_publishes_and_the_other_sees_it(tmp_path: Path) -> None:
    log = MemoryLog(5)
    first, second, _, watcher = await two(tmp_path, log)
    assert first.publishes()
    assert not second.publishes()
    assert second.covered() == 5
    log.grow(5)
    await second.attempt()
    assert opened(tmp_path).size == 5
    await first.attempt()
    await second.attempt()
    assert second.covered() == 10
    assert await second.proof(9) is not None
    assert watcher.errors == []


async def test_the_other_goes_on_when_the_first_is_gone(tmp_path: Path) -> None:
    log = MemoryLog(5)
    _, second, store, watcher = await two(tmp_path, log)
    store.unlock()  # as the kernel does for a killed process
    log.grow(300)
    await second.attempt()
    assert second.publishes()
    assert opened(tmp_path) == log.signed()
    assert watcher.errors == []


async def test_who_looks_on_refuses_a_log_behind_the_checkpoint(tmp_path: Path) -> None:
    log = MemoryLog(5)
    _, _, _, _ = await two(tmp_path, log)
    log.cut(4)
    third, _ = publisher(log, TileDirectory(tmp_path))
    with pytest.raises(LogRolledBack):
        await third.start()


# --- keys -----------------------------------------------------------------------------------------------------------


async def test_a_new_key_is_on_record_before_it_signs(tmp_path: Path) -> None:
    log, store = MemoryLog(5), TileDirectory(tmp_path)
    one, _ = publisher(log, store)
    await one.start()
    store.unlock()
    both, _ = publisher(log, store, signers=[signer(2), signer(1)])
    await both.start()
    assert [record.type for record in log.records] == ["key.rotated"]
    old, new = (str(signer(number).verifier) for number in (1, 2))
    assert log.records[0].facts == {"vkey": new, "also": old, "previous": signer(1).verifier.key_id.hex()}
    assert opened(tmp_path, 1) == opened(tmp_path, 2) == log.signed()
    assert len(log.rows) == 6
    store.unlock()
    alone, _ = publisher(log, store, signers=[signer(2)])
    await alone.start()
    assert log.records[1].facts is not None
    assert set(str(log.records[1].facts["previous"]).split()) == {
        signer(number).verifier.key_id.hex() for number in (1, 2)
    }
    store.unlock()
    again, _ = publisher(log, store, signers=[signer(2)])
    await again.start()
    assert len(log.records) == 2


async def test_a_rotation_is_recorded_once_however_often_the_log_cannot_be_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, store = MemoryLog(5), BreakingDirectory(tmp_path)
    one, _ = publisher(log, store)
    await one.start()
    store.unlock()
    log.grow(5)
    two, watcher = publisher(log, store, signers=[signer(2)])

    async def lying() -> Head:
        return Head(origin=LOG, size=len(log.rows), root=bytes(32), pruned=0)

    monkeypatch.setattr(log, "head", lying)
    for _ in range(3):
        await two.attempt()
    assert [type(error) for error in watcher.errors] == [LogDiffers] * 3
    assert log.records == []  # nothing was about to be signed
    monkeypatch.undo()
    store.writes_left = 1
    await two.attempt()  # a full disk behind the record
    monkeypatch.setattr(log, "head", lying)
    await two.attempt()
    monkeypatch.undo()
    store.writes_left = None
    await two.attempt()
    assert [record.type for record in log.records] == ["key.rotated"]
    assert opened(tmp_path, 2) == log.signed()
    assert len(log.rows) == 11


async def test_a_key_that_comes_back_and_goes_again_is_on_record_again(tmp_path: Path) -> None:
    log = MemoryLog(5)
    old_store, new_store = TileDirectory(tmp_path), TileDirectory(tmp_path)
    old, _ = publisher(log, old_store, signers=[signer(1)])
    new, _ = publisher(log, new_store, signers=[signer(2)])
    for _ in range(2):
        await old.attempt()
        assert opened(tmp_path, 1) == log.signed()
        old_store.unlock()
        await new.attempt()
        assert opened(tmp_path, 2) == log.signed()
        new_store.unlock()
    assert [record.type for record in log.records] == ["key.rotated"] * 3


async def test_a_first_key_is_no_rotation(tmp_path: Path) -> None:
    log = MemoryLog(5)
    one, _ = publisher(log, TileDirectory(tmp_path))
    await one.start()
    assert log.records == []


# --- witnesses ------------------------------------------------------------------------------------------------------


def cosignature(number: int, head: Checkpoint) -> str:
    return NoteSigner(f"witness-{number}", log_key(number), type=COSIGNATURE_V1).line(head.text, time=1)


async def test_cosignatures_stand_on_the_checkpoint_and_the_files_are_there_before(tmp_path: Path) -> None:
    log = MemoryLog(300)
    witnesses = Witnesses(cosignature(7, log.signed()))
    one, _ = publisher(log, TileDirectory(tmp_path), cosigners=witnesses)
    await one.start()
    assert witnesses.asked == [log.signed()]
    assert witnesses.nodes == [log.rows[-1].leaf_hash]
    names = [line.name for line in note.parse((tmp_path / "checkpoint").read_bytes()).signatures]
    assert names == [LOG, "witness-7"]


async def test_a_checkpoint_without_its_witnesses_is_asked_for_again(tmp_path: Path) -> None:
    log = MemoryLog(5)
    witnesses = Witnesses(cosignature(7, log.signed()))
    one, _ = publisher(log, TileDirectory(tmp_path), cosigners=witnesses)
    await one.start()
    witnesses.lines = (cosignature(8, log.signed()),)
    await one.attempt()
    assert len(witnesses.asked) == 1
    witnesses.lacking = True
    await one.attempt()
    # Who answered before has still cosigned it.
    names = [line.name for line in note.parse((tmp_path / "checkpoint").read_bytes()).signatures]
    assert names == [LOG, "witness-7", "witness-8"]
    await one.attempt()
    assert len(note.parse((tmp_path / "checkpoint").read_bytes()).signatures) == 3


async def test_a_checkpoint_that_is_found_is_shown_to_the_witnesses(tmp_path: Path) -> None:
    log, store = MemoryLog(5), TileDirectory(tmp_path)
    one, _ = publisher(log, store)
    await one.start()
    witnesses = Witnesses()
    other, _ = publisher(log, TileDirectory(tmp_path), cosigners=witnesses)
    await other.start()
    await other.attempt()
    assert witnesses.found == [(tmp_path / "checkpoint").read_bytes()]


async def test_the_lag_grows_while_publication_fails_and_ends_with_it(tmp_path: Path) -> None:
    log, clock, store = MemoryLog(1), FakeClock(), BreakingDirectory(tmp_path)
    one, _ = publisher(log, store, clock=clock)
    await one.start()
    store.writes_left = 0
    log.grow(1)
    one.coverage.acknowledged(2)
    clock.advance(9)
    await one.attempt()
    assert one.coverage.lag_seconds() == 9
    store.writes_left = None
    await one.attempt()
    assert one.coverage.lag_seconds() == 0
