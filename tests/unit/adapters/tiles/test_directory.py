"""The folder of a published log: whole files or none, one publisher, and no path out of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from adapters.tiles.directory import TileDirectory
from gateway.audit.tiles import Tile
from gateway.errors import AuditUnavailable


@pytest.fixture
def store(tmp_path: Path) -> TileDirectory:
    return TileDirectory(tmp_path / "log")


def test_what_was_written_is_read_and_nothing_else_is_there(store: TileDirectory) -> None:
    files = [("tile/0/x001/234.p/7", b"a"), ("tile/entries/000", b""), ("checkpoint", b"b"), ("timestamps/7.tsr", b"c")]
    store.write(files)
    assert [store.read(path) for path, _ in files] == [data for _, data in files]
    assert store.read("tile/0/000") is None
    found = {file.relative_to(store.folder).as_posix() for file in store.folder.rglob("*") if file.is_file()}
    assert found == {path for path, _ in files}


def test_a_file_is_replaced_at_once(store: TileDirectory) -> None:
    store.write([("checkpoint", b"old")])
    with (store.folder / "checkpoint").open("rb") as reader:
        store.write([("checkpoint", b"new")])
        assert reader.read() == b"old"  # who has it open reads it to its end
    assert store.read("checkpoint") == b"new"


@pytest.mark.parametrize("path", ["../x", "/etc/hostname", "tile/0/../../x", ".lock", "", "tile/0/000\0"])
def test_no_path_leaves_the_folder(store: TileDirectory, path: str) -> None:
    for use in (lambda: store.read(path), lambda: store.write([(path, b"")]), lambda: store.remove([path])):
        with pytest.raises(ValueError, match="not a file of a published log"):
            use()


def test_more_files_than_go_at_once_are_all_written(store: TileDirectory) -> None:
    store.write([(Tile(level=0, number=number).path, b"%d" % number) for number in range(200)])
    assert sorted(tile.number for tile in store.tiles()) == list(range(200))


def test_one_publishes_until_it_lets_go(store: TileDirectory) -> None:
    other = TileDirectory(store.folder)
    assert store.lock()
    assert store.lock()  # has it already
    assert store.locked()
    assert not other.lock()
    assert not other.locked()
    store.unlock()
    assert other.lock()
    other.unlock()


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AuditUnavailable) as refused:
        TileDirectory(tmp_path / "file" / "log").lock()
    assert "Not a directory" in refused.value.private


@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync", "open"])
def test_a_disk_that_fails_leaves_old_files_and_nothing_unfinished(
    store: TileDirectory, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store.write([("checkpoint", b"old"), ("tile/0/000", b"old")])
    real, calls = getattr(os, call), iter(range(100))

    def failing(*arguments: object) -> object:
        if next(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(AuditUnavailable) as refused:
        store.write([("tile/0/000", b"new"), ("checkpoint", b"new")])
    monkeypatch.undo()
    assert "No space left" in refused.value.private
    assert not list(store.folder.rglob("*.new"))
    if call != "fsync":  # there the names are in place already, and only their promise failed
        assert (store.read("checkpoint"), store.read("tile/0/000")) == (b"old", b"old")
    store.write([("tile/0/000", b"new"), ("checkpoint", b"new")])
    assert (store.read("checkpoint"), store.read("tile/0/000")) == (b"new", b"new")


def test_short_writes_are_continued(store: TileDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    store.write([("checkpoint", b"0123456789")])
    assert store.read("checkpoint") == b"0123456789"


def test_what_a_kill_left_unfinished_is_swept_and_no_more(store: TileDirectory) -> None:
    store.write([("checkpoint", b"c"), ("tile/0/000", b"t"), ("timestamps/1.tsr", b"s")])
    left = [store.folder / ".checkpoint.aa.new", store.folder / "tile/0/.000.aa.new"]
    other = store.folder / "timestamps/.1.tsr.aa.new"  # somebody else's, who may be writing it now
    for file in (*left, other):
        file.write_bytes(b"")
    store.sweep()
    assert not any(file.exists() for file in left)
    assert other.exists()
    assert store.read("tile/0/000") == b"t"


def test_partial_tiles_go_with_the_full_one(store: TileDirectory) -> None:
    store.write([("tile/0/000.p/1", b""), ("tile/0/000.p/200", b""), ("tile/0/001.p/1", b""), ("tile/0/000", b"")])
    store.remove_partial(Tile(level=0, number=0))
    store.remove_partial(Tile(level=1, number=0))  # none there
    assert sorted(tile.path for tile in store.tiles()) == ["tile/0/000", "tile/0/001.p/1"]


def test_removed_files_are_gone_and_missing_ones_are_no_trouble(store: TileDirectory) -> None:
    store.write([("tile/entries/000", b""), ("tile/entries/001", b"")])
    store.remove(["tile/entries/000", "tile/entries/002"])
    assert [tile.path for tile in store.tiles()] == ["tile/entries/001"]


def test_time_stamped_sizes_are_in_order(store: TileDirectory) -> None:
    assert list(store.stamped()) == []
    store.write([(f"timestamps/{size}.{kind}", b"") for size in (300, 7) for kind in ("checkpoint", "tsr")])
    (store.folder / "timestamps" / "08.tsr").write_bytes(b"")
    assert list(store.stamped()) == [7, 300]
