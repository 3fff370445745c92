"""Names and contents of the files of a log, against the examples of the specification."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.audit import tree
from gateway.audit.tiles import (
    ENTRY_BYTES_MAX,
    WIDTH,
    PublishedTiles,
    Tile,
    TileHashes,
    bundle,
    tile_root,
    tiles_of,
    unbundle,
)
from gateway.core import merkle
from tests.fakes_profiles import vectors
from tests.published_log import entries_of, published

TREES = dict(vectors("audit/tiles"))
PATHS = dict(vectors("audit/tile-path"))


@pytest.mark.parametrize("name", TREES)
def test_tree_has_the_tiles_of_the_specification(name: str) -> None:
    vector = TREES[name]
    full: Counter[str] = Counter()
    partial: dict[str, int] = {}
    for tile in tiles_of(vector["size"]):
        level = "entries" if tile.level < 0 else str(tile.level)
        if tile.width == WIDTH:
            full[level] += 1
        else:
            partial[level] = tile.width
    expected = vector["tiles"]
    assert {level: full[level] for level in expected} == {level: item["full"] for level, item in expected.items()}
    assert partial == {level: item["partial"] for level, item in expected.items() if item["partial"]}
    assert set(full) | set(partial) == set(expected)


@pytest.mark.parametrize("name", PATHS)
def test_tile_is_called_as_the_specification_says(name: str) -> None:
    vector = PATHS[name]
    assert Tile(level=vector["level"], number=vector["number"], width=vector["width"]).path == vector["path"]


def test_full_tile_of_a_partial_one_has_its_place() -> None:
    assert Tile(level=1, number=5, width=7).full == Tile(level=1, number=5)


@pytest.mark.parametrize(("since", "size"), [(0, 300), (255, 256), (256, 257), (300, 70_000), (65_535, 65_536)])
def test_only_what_is_new_is_named(since: int, size: int) -> None:
    new = set(tiles_of(size, since=since))
    assert set(tiles_of(size)) <= new | set(tiles_of(since))
    assert new.isdisjoint(tiles_of(since))


def test_nothing_is_new_in_a_tree_that_did_not_grow() -> None:
    assert list(tiles_of(70_000, since=70_000)) == []


def test_bundle_is_length_and_entry() -> None:
    assert bundle([b"ab", b"", b"c"]) == b"\x00\x02ab\x00\x00\x00\x01c"
    assert unbundle(b"\x00\x02ab\x00\x00\x00\x01c") == [b"ab", b"", b"c"]
    assert unbundle(b"") == []


def test_longest_entry_fits_and_a_longer_one_does_not() -> None:
    assert unbundle(bundle([bytes(ENTRY_BYTES_MAX)])) == [bytes(ENTRY_BYTES_MAX)]
    with pytest.raises(ValueError, match="limit"):
        bundle([bytes(ENTRY_BYTES_MAX + 1)])


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x01ab"])
def test_bundle_that_is_cut_short_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut short"):
        unbundle(data)


@pytest.mark.parametrize("count", [1, 2, 64, 256])
def test_root_of_a_tile_is_that_of_its_hashes(count: int) -> None:
    leaves = [merkle.leaf_hash(b"%d" % index) for index in range(count)]
    assert tile_root(b"".join(leaves)) == merkle.root(leaves)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1_000])
def test_proofs_come_from_tiles(size: int) -> None:
    entries = entries_of(size)
    files = published(entries)
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    node = TileHashes(size, lambda tile: files[tile.path])
    for index in {0, size // 2, size - 1}:
        path = tree.inclusion_path(index, size, node)
        assert merkle.root_from_path(leaves[index], index, size, path) == merkle.root(leaves)
    assert tree.frontier_at(size, node).root() == merkle.root(leaves)


def test_each_tile_is_fetched_once() -> None:
    files, asked = published(entries_of(300)), []

    def fetch(tile: Tile) -> bytes:
        asked.append(tile.path)
        return files[tile.path]

    node = TileHashes(300, fetch)
    for index in range(300):
        tree.inclusion_path(index, 300, node)
    assert len(asked) == len(set(asked)) == 3


def test_full_tile_is_read_once_and_anew_when_it_was_not_right() -> None:
    asked: list[str] = []

    def read(path: str) -> bytes:
        asked.append(path)
        return bytes(8_192)

    tiles, tile = PublishedTiles(read), Tile(level=0, number=0)
    assert tiles(tile) == tiles(tile) == bytes(8_192)
    assert asked == [tile.path]
    tiles.forget()
    tiles(tile)
    assert asked == [tile.path] * 2


def test_full_tile_takes_the_place_of_a_partial_one() -> None:
    full, partial = Tile(level=0, number=0), Tile(level=0, number=0, width=3)
    files = {full.path: b"".join(bytes([index]) * 32 for index in range(256))}
    tiles = PublishedTiles(files.get)
    assert tiles(partial) == files[full.path][:96]
    files[partial.path] = b"\xff" * 96
    assert tiles(partial) == b"\xff" * 96


@pytest.mark.parametrize("width", [256, 3])
def test_tile_that_is_not_there_is_named(width: int) -> None:
    tiles = PublishedTiles(lambda _path: None)
    with pytest.raises(ValueError, match="tile/1/007 is missing"):
        tiles(Tile(level=1, number=7, width=width))


@pytest.mark.parametrize(("level", "place"), [(0, 3), (1, 1), (2, 0), (8, 0), (0, -1), (-1, 0)])
def test_incomplete_subtree_has_no_hash(level: int, place: int) -> None:
    node = TileHashes(3, lambda tile: bytes(32 * tile.width))
    with pytest.raises(IndexError):
        node(level, place)


@pytest.mark.parametrize("length", [0, 95, 97, 8192])
def test_tile_of_a_wrong_length_is_refused(length: int) -> None:
    node = TileHashes(3, lambda tile: bytes(length))
    with pytest.raises(ValueError, match=r"tile/0/000.p/3"):
        node(0, 0)
