"""256 entries and their level 0 tile: the leaf hashes recomputed from the entries against those published beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.audit.verifying.entries import examined, pruned_below
from gateway.audit.verifying.findings import Report
from gateway.audit.verifying.layout import ENTRIES, Name, hashes, split
from gateway.core.merkle import leaf_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Leaf hashes by the entries, and by the tile. The same list where the two agree; where one file does not say, the
    other's hash stands in both.

    `absent`: there is no bundle, and the tile stands for it. `unknown`: some hash is in neither. `entries`: how many
    were recomputed. `lets_absent`: the index below which one of them lets others be absent.
    """

    by_entries: list[bytes]
    by_tile: list[bytes]
    absent: bool = False
    unknown: bool = False
    entries: int = 0
    lets_absent: int = 0


def block(number: int, width: int, bundle: bytes | None, tile: bytes | None, report: Report) -> Block:
    """`width` is what the checkpoint covers of it; more than that may be in the files and is not looked at."""
    of_bundle, of_tile = Name(ENTRIES, number, width), Name(0, number, width)
    published, even = hashes(tile or b"")
    if tile is None:
        report.fault("is missing", path=of_tile.path, first=of_tile.start, last=of_tile.start + width - 1)
    elif len(published) != width or not even:
        report.fault("has a wrong length", path=of_tile.path, first=of_tile.start + min(len(published), width - 1))
    if bundle is None:
        if len(published) < width:
            return Block(by_entries=[], by_tile=[], absent=True, unknown=True)
        return Block(by_entries=published[:width], by_tile=published[:width], absent=True)
    entries, whole = split(bundle)
    if len(entries) != width or not whole:
        first = of_bundle.start + min(len(entries), width - 1)
        report.fault("does not hold as many whole entries as it must", path=of_bundle.path, first=first)
    computed = [leaf_hash(entry) for entry in entries[:width]]
    lets_absent = _examine(entries[:width], computed, published, of_bundle, report)
    if computed == published and len(computed) == width:
        return Block(by_entries=computed, by_tile=computed, entries=width, lets_absent=lets_absent)
    by_entries = computed + published[len(computed) : width]
    by_tile = published[:width] + computed[len(published) :]
    return Block(
        by_entries=by_entries,
        by_tile=by_tile,
        unknown=len(by_entries) < width,
        entries=len(computed),
        lets_absent=lets_absent,
    )


def _examine(
    entries: Sequence[bytes], computed: Sequence[bytes], published: Sequence[bytes], name: Name, report: Report
) -> int:
    lets_absent = 0
    for place, entry in enumerate(entries):
        index = name.start + place
        if place < len(published) and computed[place] != published[place]:
            other = Name(0, name.number, name.width).path
            report.fault(f"entry {index} is not the one whose hash is in {other}", path=name.path, first=index)
            continue
        body = examined(entry)
        if isinstance(body, str):
            report.fault(f"entry {index} {body}", path=name.path, first=index)
        else:
            lets_absent = max(lets_absent, pruned_below(body))
    return lets_absent
