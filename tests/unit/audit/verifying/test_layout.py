"""Names and cuts of files as a reader sees them: the same as the writer's, said a second time."""

from __future__ import annotations

import pytest

from gateway.audit.tiles import Tile, bundle, tiles_of
from gateway.audit.verifying.layout import ENTRIES, Name, hashes, name_of, split
from tests.fakes_profiles import vectors

PATHS = dict(vectors("audit/tile-path"))


@pytest.mark.parametrize("name", PATHS)
def test_name_is_that_of_the_specification(name: str) -> None:
    vector = PATHS[name]
    found = Name(vector["level"], vector["number"], vector["width"])
    assert found.path == vector["path"]
    assert name_of(vector["path"]) == found


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000, 16_777_216 + 65_536 + 256 + 1])
def test_reader_and_writer_call_every_file_the_same(size: int) -> None:
    for tile in list(tiles_of(size))[-600:]:
        found = name_of(tile.path)
        assert found == Name(tile.level, tile.number, tile.width)
        assert found.path == Tile(level=tile.level, number=tile.number, width=tile.width).path


@pytest.mark.parametrize(
    "path",
    [
        "checkpoint",
        "tile/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/8/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p",
        "tile/0/../000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "xtile/0/000",
    ],
)
def test_other_names_are_no_file_of_a_log(path: str) -> None:
    assert name_of(path) is None


def test_place_and_reach_of_a_tile() -> None:
    assert (Name(2, 1, 7).start, Name(2, 1, 7).unit) == (256**3, 256**2)
    assert (Name(ENTRIES, 3).start, Name(ENTRIES, 3).unit) == (768, 1)


@pytest.mark.parametrize("entries", [[], [b""], [b"a", b"", b"c" * 300], [bytes(65_535)]])
def test_entries_come_back_from_a_bundle(entries: list[bytes]) -> None:
    assert split(bundle(entries)) == (entries, True)


@pytest.mark.parametrize(
    ("data", "entries"),
    [(b"\x00", []), (b"\x00\x01", []), (b"\x00\x01ab", [b"a"]), (b"\x00\x01a\x00\x05b", [b"a"])],
)
def test_bundle_cut_short_gives_what_is_whole(data: bytes, entries: list[bytes]) -> None:
    assert split(data) == (entries, False)


def test_tile_cut_short_gives_what_is_whole() -> None:
    assert hashes(b"a" * 32 + b"b" * 32) == ([b"a" * 32, b"b" * 32], True)
    assert hashes(b"a" * 63) == ([b"a" * 32], False)
