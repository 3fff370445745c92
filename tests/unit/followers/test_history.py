"""Entries and checkpoint must belong together before anything is signed; files are made again, entries are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adapters.tiles.directory import TileDirectory
from gateway.audit.tiles import Tile
from gateway.followers import history
from gateway.followers.history import CheckpointUnusable, HistoryRefused, LogDiffers, LogRolledBack
from tests.fakes_trail import MemoryLog, files_of, publisher, signer

SIZE = 1_100


@pytest.fixture
async def log(tmp_path: Path) -> MemoryLog:
    """Published at SIZE."""
    log = MemoryLog(SIZE)
    await started(log, tmp_path)
    return log


async def started(log: MemoryLog, folder: Path, *, key: int = 1) -> list[tuple[int, int]]:
    """Start a publisher as a new process would; what it had to make again."""
    store = TileDirectory(folder)
    one, watcher = publisher(log, store, signers=[signer(key, log.origin)])
    try:
        await one.start()
    finally:
        store.unlock()
    assert not watcher.errors
    return watcher.rebuilt


async def test_a_log_that_is_as_published_makes_nothing_again(log: MemoryLog, tmp_path: Path) -> None:
    before = files_of(tmp_path)
    assert await started(log, tmp_path) == []
    assert files_of(tmp_path) == before


async def test_a_log_that_went_back_refuses_and_says_what_to_do(log: MemoryLog, tmp_path: Path) -> None:
    log.cut(SIZE - 1)
    with pytest.raises(LogRolledBack, match=r"1099 entries, but 1100 .*restore .*audit recover"):
        await started(log, tmp_path)


async def test_a_log_that_went_back_and_grew_again_refuses(log: MemoryLog, tmp_path: Path) -> None:
    log.cut(SIZE - 1)
    log.grow(51)
    log.change(SIZE - 1, b'{"another":1}')
    before = files_of(tmp_path)
    with pytest.raises(LogDiffers, match="first 1100 entries"):
        await started(log, tmp_path)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("index", [0, 300, SIZE - 1])
async def test_one_changed_entry_refuses(log: MemoryLog, tmp_path: Path, index: int) -> None:
    log.change(index, b'{"forged":1}')
    before = files_of(tmp_path)
    with pytest.raises(LogDiffers):
        await started(log, tmp_path)
    assert files_of(tmp_path) == before  # wrong entries overwrite nothing


async def test_entries_of_before_the_newest_are_left_to_the_verifier(
    log: MemoryLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "COMPARED_ENTRIES", 512)
    log.change(0, b'{"forged":1}')
    log.signed = lambda size=None: MemoryLog(SIZE).signed(size)  # type: ignore[method-assign]  # a head that agrees
    assert await started(log, tmp_path) == []


@pytest.mark.parametrize(
    "path",
    ["tile/0/003", "tile/entries/001", "tile/1/000.p/4", "tile/0/004.p/76", "tile/entries/004.p/76"],
)
async def test_a_missing_file_is_made_again(log: MemoryLog, tmp_path: Path, path: str) -> None:
    before = files_of(tmp_path)
    (tmp_path / path).unlink()
    await started(log, tmp_path)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("path", ["tile/0/002", "tile/1/000.p/4"])
async def test_a_damaged_file_is_made_again(log: MemoryLog, tmp_path: Path, path: str) -> None:
    before = files_of(tmp_path)
    (tmp_path / path).write_bytes(b"\1" * len(before[path]))
    assert await started(log, tmp_path) == [(1024, SIZE), (SIZE, SIZE)]
    assert files_of(tmp_path) == before


async def test_a_lost_folder_is_made_anew(log: MemoryLog, tmp_path: Path) -> None:
    before = files_of(tmp_path)
    shutil.rmtree(tmp_path)
    await started(log, tmp_path)
    assert files_of(tmp_path) == before


async def test_what_a_kill_left_behind_is_cleared_away(log: MemoryLog, tmp_path: Path) -> None:
    before = files_of(tmp_path)
    store = TileDirectory(tmp_path)
    store.write([("tile/0/003.p/9", b"superseded"), ("tile/entries/000.p/1", b"superseded")])
    # Written ahead of a checkpoint that never came: kept, and written again when it comes.
    store.write([(Tile(level=0, number=4, width=99).path, b"ahead")])
    (tmp_path / "tile/0/.003.aa.new").write_bytes(b"half")
    await started(log, tmp_path)
    assert files_of(tmp_path) == before | {"tile/0/004.p/99": b"ahead"}


async def test_pruned_bundles_are_not_missed(log: MemoryLog, tmp_path: Path) -> None:
    log.prune(512)
    await started(log, tmp_path)  # removes them with the next checkpoint
    log.grow(1)
    await started(log, tmp_path)
    assert not {"tile/entries/000", "tile/entries/001"} & files_of(tmp_path).keys()
    assert await started(log, tmp_path) == []


async def test_a_folder_of_another_log_refuses(log: MemoryLog, tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnusable, match="folder of its own"):
        await started(MemoryLog(5, origin="test.example/other"), tmp_path)


@pytest.mark.parametrize("data", [b"", b"nothing", b"test.example/log\n1\n\n"])
async def test_a_checkpoint_that_is_none_refuses(log: MemoryLog, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(data)
    with pytest.raises(CheckpointUnusable, match="put back the file"):
        await started(log, tmp_path)


async def test_a_wrong_signature_by_our_own_key_refuses(log: MemoryLog, tmp_path: Path) -> None:
    data = (tmp_path / "checkpoint").read_text().replace(f"\n{SIZE}\n", f"\n{SIZE - 1}\n")
    (tmp_path / "checkpoint").write_text(data)
    with pytest.raises(HistoryRefused, match="signature"):
        await started(log, tmp_path)


async def test_a_log_that_was_given_another_name_meanwhile_refuses(log: MemoryLog, tmp_path: Path) -> None:
    store = TileDirectory(tmp_path)
    one, _ = publisher(log, store)
    log.origin = "test.example/new"
    with pytest.raises(LogDiffers, match="by now"):
        await one.start()
    store.unlock()
