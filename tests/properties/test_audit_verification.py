"""Whatever happens to any published file: the verification fails and names the first wrong index."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.tiles import bundle
from gateway.audit.verifying import Earlier, Report, Trust, verify_log
from gateway.audit.verifying.layout import ENTRIES, Name, name_of
from tests.published_log import (
    MemorySource,
    checkpoint,
    entries_of,
    entry,
    log_signer,
    published,
    tile_files,
    witness_signer,
)

LARGE = 66_000
LOG = entries_of(LARGE)
LOGS = {size: published(LOG[:size], witnesses=[witness_signer()]) for size in (1, 300, 700, LARGE)}
TRUST = Trust(keys=(log_signer().verifier,), witnesses=(witness_signer().verifier,), quorum=1)
sizes = st.sampled_from([size for size in LOGS if size < LARGE])


def verified(files: dict[str, bytes]) -> Report:
    return verify_log(MemorySource(files), TRUST)


def reach(name: Name, byte: int, data: bytes) -> tuple[int, int]:
    """The entries that the byte of this file is about."""
    place = sum(1 for end in _ends(data) if end <= byte) if name.level == ENTRIES else byte // 32
    place = min(place, name.width - 1)
    return name.start + place * name.unit, name.start + (place + 1) * name.unit - 1


def _ends(data: bytes) -> Iterator[int]:
    end = 0
    while end < len(data):
        end += 2 + int.from_bytes(data[end : end + 2], "big")
        yield end


def paths_of(size: int) -> list[str]:
    return sorted(path for path in LOGS[size] if path != "checkpoint")


@st.composite
def damaged(draw: st.DrawFn, size: int) -> tuple[str, int, bytes]:
    """A file, the first of its bytes that is touched, and what it becomes."""
    path = draw(st.sampled_from(paths_of(size)))
    data = LOGS[size][path]
    at = draw(st.integers(0, len(data) - 1))
    kind = draw(st.sampled_from(["flip", "cut", "insert", "append"]))
    if kind == "flip":
        return path, at, data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
    if kind == "cut":
        return path, at, data[:at]
    more = draw(st.binary(min_size=1, max_size=40))
    at = at if kind == "insert" else len(data)
    return path, at, data[:at] + more + data[at:]


@given(sizes.flatmap(lambda size: st.tuples(st.just(size), damaged(size))))
@settings(max_examples=400)
def test_damage_to_any_file_is_found_at_its_index(case: tuple[int, tuple[str, int, bytes]]) -> None:
    size, (path, at, data) = case
    report = verified({**LOGS[size], path: data})
    assert not report.ok
    name = name_of(path)
    assert name is not None
    assert report.first_wrong is not None
    first, last = reach(name, at, LOGS[size][path])
    if len(data) <= len(LOGS[size][path]):
        assert report.first_wrong == (first, last)
    else:  # what is inserted may by chance repeat what was there, so that the difference begins later
        assert report.first_wrong[0] >= first
        assert report.first_wrong[1] <= name.start + name.width * name.unit - 1


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_flipped_bit_in_a_tree_of_three_levels_is_found_at_its_index(data: st.DataObject) -> None:
    files = LOGS[LARGE]
    level = data.draw(st.sampled_from(["entries", "0", "1", "2"]))
    path = data.draw(st.sampled_from([path for path in paths_of(LARGE) if path.startswith(f"tile/{level}/")]))
    at = data.draw(st.integers(0, len(files[path]) - 1))
    changed = bytearray(files[path])
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    name = name_of(path)
    assert name is not None
    assert verified({**files, path: bytes(changed)}).first_wrong == reach(name, at, files[path])


@given(st.integers(0, 10**9), st.integers(0, 7), sizes)
def test_flipped_bit_in_the_checkpoint_is_found(at: int, bit: int, size: int) -> None:
    changed = bytearray(LOGS[size]["checkpoint"])
    changed[at % len(changed)] ^= 1 << bit
    assert not verified({**LOGS[size], "checkpoint": bytes(changed)}).ok


@pytest.mark.parametrize("size", [size for size in LOGS if size < LARGE])
def test_every_missing_file_is_found(size: int) -> None:
    for path in LOGS[size]:
        report = verified({name: data for name, data in LOGS[size].items() if name != path})
        name = name_of(path)
        assert not report.ok
        assert name is None or report.first_wrong == (name.start, name.start + name.width * name.unit - 1)


@given(st.data())
def test_exchanged_files_are_found(data: st.DataObject) -> None:
    left, right = data.draw(st.lists(st.sampled_from(paths_of(700)), min_size=2, max_size=2, unique=True))
    files = LOGS[700]
    report = verified({**files, left: files[right], right: files[left]})
    starts = [name.start for name in (name_of(left), name_of(right)) if name is not None]
    assert not report.ok
    assert report.first_wrong is not None
    assert report.first_wrong[0] <= min(starts) <= report.first_wrong[1]


@given(st.data(), st.integers(2, 700))
def test_entries_replaced_removed_or_moved_are_found(data: st.DataObject, size: int) -> None:
    """All files rebuilt around other entries: only the signed root is left, and the checkpoints that somebody kept."""
    index = data.draw(st.integers(0, size - 1))
    kept = data.draw(st.integers(0, size))
    entries = list(LOG[:size])
    kind = data.draw(st.sampled_from(["replace", "remove", "move"]))
    if kind == "replace":
        entries[index] = entry(10**9)
    else:
        taken = entries.pop(index)
        entries.insert(data.draw(st.integers(0, size - 1)) if kind == "move" else size, taken)
        if kind == "remove":
            entries[-1] = entry(10**9)
    first = next((at for at in range(size) if entries[at] != LOG[at]), None)
    files = {**published(entries), "checkpoint": checkpoint(LOG[:size], witnesses=[witness_signer()]).encode()}
    earlier = [Earlier(name="kept", data=checkpoint(LOG[:kept]).encode())]
    report = verify_log(MemorySource(files), TRUST, earlier=earlier)
    if first is None:
        assert report.ok
        return
    assert report.first_wrong == ((0, kept - 1) if first < kept else (kept, size - 1))


@given(st.lists(st.integers(1, 700), min_size=1, max_size=5), st.integers(0, 10**9), st.integers(0, 7))
def test_files_of_earlier_checkpoints_may_stay_and_must_agree(earlier: list[int], at: int, bit: int) -> None:
    files = dict(LOGS[700])
    for size in earlier:
        files |= dict(tile_files(LOG[:size]))
    assert verified(files).findings == []
    older = sorted(set(files) - set(LOGS[700]))
    if older:
        path = older[at % len(older)]
        changed = bytearray(files[path])
        changed[at % len(changed)] ^= 1 << bit
        assert not verified({**files, path: bytes(changed)}).ok


@given(
    st.dictionaries(
        st.sampled_from(
            [*paths_of(700), "checkpoint", "tile/0/002.p/5", "timestamps/5.tsr", "timestamps/5.checkpoint"]
        ),
        st.binary(max_size=200),
    )
)
def test_arbitrary_files_are_refused_without_a_breakdown(files: dict[str, bytes]) -> None:
    assert verified({**LOGS[700], **files}).ok is not bool(files)


def test_bundle_of_another_log_is_refused_whole() -> None:
    report = verified({**LOGS[300], "tile/entries/000": bundle([entry(10**6 + index) for index in range(256)])})
    assert report.first_wrong == (0, 0)
    assert report.faults == 256
