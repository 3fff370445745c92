"""The files of the tree in a source: each read under its name, or from a wider one; and those that lie beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.audit.verifying.findings import Report
from gateway.audit.verifying.layout import (
    BUNDLE_BYTES_MAX,
    ENTRIES,
    HASH_BYTES,
    TILE_BYTES_MAX,
    WIDTH,
    Name,
    hashes,
    name_of,
    split,
)
from gateway.audit.verifying.source import Source
from gateway.core.merkle import leaf_hash


class Files:
    """Of one source, under a checkpoint of `size` entries."""

    def __init__(self, source: Source, size: int, report: Report) -> None:
        self._source = source
        self._size = size
        self._report = report
        self._beside: dict[tuple[int, int], list[int]] = {}
        self._list()

    def blocks(self) -> Iterator[tuple[Name, bytes | None, bytes | None]]:
        """Each level 0 tile from the left: its name, the bundle and the tile."""
        found = self._source.stream(self._block_paths(), bytes_max=BUNDLE_BYTES_MAX)
        for name in self._leaves():
            bundle = self._or_wider(Name(ENTRIES, name.number, name.width), next(found))
            yield name, bundle, self._or_wider(name, next(found))

    def tile(self, level: int, number: int) -> tuple[Name, bytes | None]:
        """A hash tile as the checkpoint covers it."""
        name = Name(level, number, min(WIDTH, self._size // WIDTH**level - number * WIDTH))
        return name, self._or_wider(name, self._source.read(name.path, bytes_max=TILE_BYTES_MAX))

    def check_beside(self, level: int, number: int, chains: Sequence[Sequence[bytes]]) -> None:
        """What else is there of this tile: an older and narrower one, or one that the checkpoint does not cover yet.
        As far as it overlaps, each of its hashes must be in one of the chains."""
        for width in self._beside.get((level, number), ()):
            name = Name(level, number, width)
            data = self._source.read(name.path, bytes_max=BUNDLE_BYTES_MAX)
            if data is None:
                continue  # replaced by a wider one since it was listed
            if level == ENTRIES:
                entries, even = split(data)
                held = [leaf_hash(entry) for entry in entries]
            else:
                held, even = hashes(data)
            if len(held) != width or not even:
                self._report.fault("has a wrong length", path=name.path, first=name.start + min(len(held), width - 1))
            place = departure(held, chains)
            if place is not None:
                report_departure(name, place, self._report)

    def _list(self) -> None:
        names = self._source.names("tile")
        if names is None:
            return
        foreign = beyond = 0
        for path in names:
            name = name_of(path)
            if name is None:
                foreign += 1
            elif (covered := min(WIDTH, self._size // name.unit - name.number * WIDTH)) <= 0:
                beyond += 1
            elif name.width != covered:
                self._beside.setdefault((name.level, name.number), []).append(name.width)
        if beyond:
            self._report.remarks.append(f"{beyond} files are not covered by the checkpoint yet, and were not looked at")
        if foreign:
            self._report.remarks.append(f"{foreign} files below tile/ are none of a log, and were not looked at")

    def _leaves(self) -> Iterator[Name]:
        for number in range((self._size + WIDTH - 1) // WIDTH):
            yield Name(0, number, min(WIDTH, self._size - number * WIDTH))

    def _block_paths(self) -> Iterator[str]:
        for name in self._leaves():
            yield Name(ENTRIES, name.number, name.width).path
            yield name.path

    def _or_wider(self, name: Name, data: bytes | None) -> bytes | None:
        """A log may drop a partial tile once the full one is there (tlog-tiles, Partial Tiles)."""
        if data is not None or name.width == WIDTH:
            return data
        full = self._source.read(Name(name.level, name.number).path, bytes_max=BUNDLE_BYTES_MAX)
        if full is None or name.level != ENTRIES:
            return full[: name.width * HASH_BYTES] if full is not None else None
        return b"".join(len(entry).to_bytes(2, "big") + entry for entry in split(full)[0][: name.width])


def departure(held: Sequence[bytes], chains: Sequence[Sequence[bytes]]) -> int | None:
    """The first place whose hash is in none of the chains, as far as these reach."""
    if any(held == chain for chain in chains):
        return None
    for place, options in enumerate(zip(*chains, strict=True)):
        if place < len(held) and held[place] not in options:
            return place
    return None


def report_departure(name: Name, place: int, report: Report) -> None:
    first = name.start + place * name.unit
    last = first + name.unit - 1
    if first == last:
        text = f"is not what the log has for entry {first}"
    else:
        text = f"has another hash for entries {first} to {last} than these lead to"
    report.fault(text, path=name.path, first=first, last=last)
