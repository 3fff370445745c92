"""A bundle and its tile against each other: which index is wrong, and what stands in for what is missing."""

from __future__ import annotations

import pytest

from gateway.audit.tiles import bundle
from gateway.audit.verifying import Report
from gateway.audit.verifying.blocks import Block, block
from gateway.core.merkle import leaf_hash
from tests.published_log import entries_of, entry

ENTRIES = entries_of(10)
LEAVES = [leaf_hash(data) for data in ENTRIES]
BUNDLE, TILE = bundle(ENTRIES), b"".join(LEAVES)


def read(bundle_: bytes | None, tile: bytes | None, *, number: int = 0) -> tuple[Block, Report]:
    report = Report()
    return block(number, 10, bundle_, tile, report), report


def test_block_that_agrees_is_one() -> None:
    found, report = read(BUNDLE, TILE)
    assert report.ok
    assert found == Block(by_entries=LEAVES, by_tile=LEAVES, entries=10)


def test_changed_entry_is_named_by_its_index_in_the_log() -> None:
    changed = [*ENTRIES[:4], entry(99), *ENTRIES[5:]]
    found, report = read(bundle(changed), TILE, number=3)
    assert report.first_wrong == (3 * 256 + 4, 3 * 256 + 4)
    assert report.findings[0].path == "tile/entries/003.p/10"
    assert (found.by_entries[4], found.by_tile[4]) == (leaf_hash(entry(99)), LEAVES[4])


@pytest.mark.parametrize("cut", [1, 31, 32, 33, 319])
def test_tile_cut_short_is_named_and_filled_from_the_entries(cut: int) -> None:
    found, report = read(BUNDLE, TILE[:-cut])
    assert report.first_wrong == ((320 - cut) // 32, (320 - cut) // 32)
    assert found.by_entries == found.by_tile == LEAVES


def test_bundle_cut_short_is_named_and_filled_from_the_tile() -> None:
    found, report = read(BUNDLE[: len(bundle(ENTRIES[:6])) + 5], TILE)
    assert report.first_wrong == (6, 6)
    assert found.by_entries == found.by_tile == LEAVES
    assert found.entries == 6


@pytest.mark.parametrize("tail", [b"\x00", bundle([b"{}"])])
def test_bundle_with_more_than_it_may_hold_is_refused(tail: bytes) -> None:
    _, report = read(BUNDLE + tail, TILE)
    assert report.first_wrong == (9, 9)


def test_tile_with_more_than_it_may_hold_is_refused() -> None:
    _, report = read(BUNDLE, TILE + bytes(32))
    assert report.first_wrong == (9, 9)


def test_missing_tile_is_a_fault_of_its_first_index() -> None:
    found, report = read(BUNDLE, None)
    assert report.first_wrong == (0, 9)
    assert found.by_tile == LEAVES


def test_missing_bundle_is_absent_until_somebody_allows_it() -> None:
    found, report = read(None, TILE)
    assert report.ok
    assert (found.absent, found.by_entries, found.entries) == (True, LEAVES, 0)


@pytest.mark.parametrize("tile", [None, TILE[:-1]])
def test_without_either_nothing_is_known(tile: bytes | None) -> None:
    found, report = read(None, tile)
    assert not report.ok
    assert found.unknown
    assert found.absent


def test_two_empty_files_are_not_a_block_that_agrees() -> None:
    found, report = read(b"", b"")
    assert {finding.path for finding in report.findings} == {"tile/entries/000.p/10", "tile/0/000.p/10"}
    assert found.unknown


def test_entry_that_is_no_entry_is_named_though_its_hash_holds() -> None:
    entries = [*ENTRIES[:4], b'{"v":2}', *ENTRIES[5:]]
    _, report = read(bundle(entries), b"".join(leaf_hash(data) for data in entries))
    assert [(finding.first, finding.text) for finding in report.findings] == [(4, "entry 4 is not of version 1")]


def test_only_an_entry_whose_hash_holds_may_allow_pruning() -> None:
    entries = [*ENTRIES[:9], entry(9, type="audit.pruned", facts={"below": 512})]
    assert read(bundle(entries), b"".join(leaf_hash(data) for data in entries))[0].lets_absent == 512
    assert read(bundle(entries), TILE)[0].lets_absent == 0
