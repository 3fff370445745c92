"""Files beside those that the checkpoint names: older, newer, foreign. As far as they overlap they must agree."""

from __future__ import annotations

import pytest

from gateway.audit.tiles import bundle
from gateway.audit.verifying import Report
from gateway.audit.verifying.files import Files, departure, report_departure
from gateway.audit.verifying.layout import ENTRIES, Name
from gateway.core.merkle import leaf_hash
from tests.published_log import MemorySource, entries_of, published, tile_files

SIZE = 600
LOG = entries_of(SIZE)
LEAVES = [leaf_hash(entry) for entry in LOG]


def files_of(extra: dict[str, bytes], *, listed: bool = True) -> tuple[Files, Report]:
    report = Report()
    return Files(MemorySource({**published(LOG), **extra}, listed=listed), SIZE, report), report


def test_blocks_come_in_order_with_both_files() -> None:
    files, _ = files_of({})
    found = list(files.blocks())
    assert [(name.number, name.width) for name, _, _ in found] == [(0, 256), (1, 256), (2, 88)]
    assert found[2][1:] == (bundle(LOG[512:]), b"".join(LEAVES[512:]))


def test_full_tile_stands_for_a_partial_one_that_was_dropped() -> None:
    """tlog-tiles, Partial Tiles: a log may delete a partial tile once the full one is there."""
    source = MemorySource(published(LOG))
    longer = dict(tile_files(entries_of(768)))
    for path in ("tile/0/002", "tile/entries/002"):
        source.files[path] = longer[path]
        del source.files[f"{path}.p/88"]
    found = list(Files(source, SIZE, Report()).blocks())
    assert found[2][1:] == (bundle(LOG[512:]), b"".join(LEAVES[512:]))


def test_older_partial_tiles_agree() -> None:
    files, report = files_of(dict(tile_files(LOG[:530])) | dict(tile_files(LOG[:300])))
    for level in (ENTRIES, 0):
        files.check_beside(level, 2, [LEAVES[512:]])
        files.check_beside(level, 1, [LEAVES[256:512]])
    assert report.ok
    assert report.remarks == []


@pytest.mark.parametrize("level", [ENTRIES, 0])
def test_older_partial_tile_that_departs_is_named(level: int) -> None:
    others = [*LOG[:520], *entries_of(10)]
    files, report = files_of(
        {path: data for path, data in tile_files(others) if path.endswith("/002.p/18")},
    )
    files.check_beside(level, 2, [LEAVES[512:]])
    assert report.first_wrong == (520, 520)
    assert report.findings[0].path == Name(level, 2, 18).path


def test_older_partial_tile_cut_short_is_named() -> None:
    files, report = files_of({"tile/0/002.p/18": b"".join(LEAVES[512:529])})
    files.check_beside(0, 2, [LEAVES[512:]])
    assert report.first_wrong == (529, 529)


def test_newer_tile_is_looked_at_as_far_as_the_checkpoint_reaches() -> None:
    newer = dict(tile_files(entries_of(768)))
    files, report = files_of({path: newer[path] for path in ("tile/0/002", "tile/entries/002")})
    files.check_beside(0, 2, [LEAVES[512:]])
    assert report.ok
    files.check_beside(0, 2, [LEAVES[:88]])
    assert report.first_wrong == (512, 512)


def test_files_beyond_the_checkpoint_and_foreign_ones_are_remarked() -> None:
    _, report = files_of({"tile/0/003.p/5": b"x", "tile/2/000.p/1": b"x", "tile/notes.txt": b"x"})
    assert report.ok
    assert [remark.split()[:5] for remark in report.remarks] == [
        ["2", "files", "are", "not", "covered"],
        ["1", "files", "below", "tile/", "are"],
    ]


def test_source_that_cannot_list_is_read_without() -> None:
    files, report = files_of({"tile/notes.txt": b"x"}, listed=False)
    files.check_beside(0, 2, [LEAVES[512:]])
    assert len(list(files.blocks())) == 3
    assert report.remarks == []


def test_hash_of_either_chain_is_no_departure() -> None:
    first, second = [b"a", b"b", b"c"], [b"a", b"B", b"c"]
    assert departure([b"a", b"B", b"c"], (first, second)) is None
    assert departure([b"a", b"b"], (first, second)) is None
    assert departure([b"a", b"x", b"y"], (first, second)) == 1


def test_departure_of_an_upper_tile_names_all_its_entries() -> None:
    report = Report()
    report_departure(Name(1, 2, 9), 3, report)
    assert report.first_wrong == ((512 + 3) * 256, (512 + 4) * 256 - 1)
