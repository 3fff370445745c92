"""Roots of any size from rows of 256, equal to the plain recursion of RFC 6962."""

from __future__ import annotations

import pytest

from gateway.audit.verifying.blocks import Block
from gateway.audit.verifying.tower import Hashes, Row, Tower, root_of
from gateway.core import merkle


def leaves_of(start: int, count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"%d" % index) for index in range(start, start + count)]


def built(size: int, rows: list[Row], *, changed: int | None = None) -> tuple[Tower, Block | None]:
    def finished(row: Row) -> Hashes:
        rows.append(row)
        return list(row.chains[0])

    tower = Tower(finished)
    for start in range(0, size, 256):
        by_entries = leaves_of(start, min(256, size - start))
        by_tile = list(by_entries)
        if changed is not None and start <= changed < start + 256:
            by_entries[changed - start] = bytes(32)
        block = Block(by_entries=by_entries, by_tile=by_tile)
        if len(by_entries) < 256:
            return tower, block
        tower.add(block)
    return tower, None


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 1_000, 65_536, 65_537, 65_536 + 300])
def test_root_is_that_of_rfc_6962(size: int) -> None:
    tower, edge = built(size, [])
    root = merkle.root(leaves_of(0, size))
    assert tower.roots(edge, size % 256) == (root, root)


@pytest.mark.parametrize("width", [1, 100, 255])
def test_root_within_a_block_is_that_of_the_smaller_tree(width: int) -> None:
    tower, edge = built(512 + 255, [])
    assert tower.roots(edge, width)[0] == merkle.root(leaves_of(0, 512 + width))


def test_entries_and_tiles_have_a_root_each() -> None:
    tower, edge = built(1_000, [], changed=300)
    leaves = leaves_of(0, 1_000)
    assert tower.roots(edge, 1_000 % 256)[1] == merkle.root(leaves)
    leaves[300] = bytes(32)
    assert tower.roots(edge, 1_000 % 256)[0] == merkle.root(leaves)


def test_rows_are_finished_from_the_left_and_the_last_at_the_end() -> None:
    rows: list[Row] = []
    tower, _ = built(65_536 + 512, rows)
    assert [(row.level, row.number, len(row.chains[0])) for row in rows] == [(1, 0, 256)]
    tower.close()
    assert [(row.level, row.number, len(row.chains[0])) for row in rows[1:]] == [(1, 1, 2), (2, 0, 1)]


def test_row_has_the_hashes_of_the_level_below() -> None:
    rows: list[Row] = []
    tower, _ = built(512, rows, changed=300)
    tower.close()
    by_entries, by_tiles = rows[0].chains
    assert by_tiles == [merkle.root(leaves_of(0, 256)), merkle.root(leaves_of(256, 256))]
    assert [left == right for left, right in zip(by_entries, by_tiles, strict=True)] == [True, False]


def test_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert root_of([]) == root_of([[], []]) == merkle.root(())
