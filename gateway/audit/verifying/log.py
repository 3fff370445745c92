"""The verification of a whole log, in one pass from the first entry to the last; memory does not grow with the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.audit import note
from gateway.audit.note import Checkpoint
from gateway.audit.verifying.blocks import Block, block
from gateway.audit.verifying.files import Files, departure, report_departure
from gateway.audit.verifying.findings import Report
from gateway.audit.verifying.heads import CHECKPOINT, Earlier, Mark, Trust, marks, newest
from gateway.audit.verifying.layout import ENTRIES, WIDTH, Name, hashes
from gateway.audit.verifying.source import Source
from gateway.audit.verifying.stamps import listed, stamped
from gateway.audit.verifying.tower import Hashes, Row, Tower, root_of

Progress = Callable[[int, int], None]
"""`progress(done, size)`: entries so far, and in all."""


def verify_log(
    source: Source, trust: Trust, *, earlier: Sequence[Earlier] = (), progress: Progress | None = None
) -> Report:
    """Everything that the published bytes can tell. Raises OSError for what cannot be read."""
    report = Report()
    sizes = listed(source)
    head = newest(source.read(CHECKPOINT, bytes_max=note.NOTE_BYTES_MAX), trust, report)
    if head is not None:
        passed = [*marks(earlier, head, trust.keys, report), *stamped(source, sizes, head, trust, report)]
        _Pass(source, head, passed, report).run(progress)
    return report


class _Pass:
    """`_unknown`: the tree has a hole that no file fills, so that nothing can be said of what is above the leaves."""

    def __init__(self, source: Source, head: Checkpoint, passed: Sequence[Mark], report: Report) -> None:
        self._head = head
        self._marks = passed
        self._report = report
        self._files = Files(source, head.size, report)
        self._tower = Tower(self._check_row)
        self._roots = self._tower.roots()
        self._stops = sorted({head.size, *(mark.size for mark in passed)}, reverse=True)
        self._agreed = 0  # size of the largest mark that the log passes through
        self._unknown = False
        self._absent: list[tuple[int, int]] = []
        self._lets_absent = 0

    def run(self, progress: Progress | None) -> None:
        if self._stops[-1] == 0:
            self._reach(self._stops.pop(), self._roots)
        for name, bundle, tile in self._files.blocks():
            read = block(name.number, name.width, bundle, tile, self._report)
            self._note(name, read)
            if not self._unknown:
                for level in (ENTRIES, 0):
                    self._files.check_beside(level, name.number, (read.by_entries, read.by_tile))
                self._grow(name, read)
            if progress is not None:
                progress(name.start + name.width, self._head.size)
        if self._unknown:
            self._report.remarks.append(
                "hashes are missing: neither the root nor earlier checkpoints could be compared"
            )
        else:
            self._tower.close()
            self._check_root()
        self._check_absent()

    def _note(self, name: Name, read: Block) -> None:
        self._report.entries += read.entries
        self._lets_absent = max(self._lets_absent, read.lets_absent)
        self._unknown = self._unknown or read.unknown
        if not read.absent:
            return
        start, stop = name.start, name.start + name.width
        if self._absent and self._absent[-1][1] == start:
            start = self._absent.pop()[0]
        self._absent.append((start, stop))

    def _grow(self, name: Name, read: Block) -> None:
        """Sizes within the block are reached before it is in the tower, its end after."""
        stop = name.start + name.width
        while self._stops and self._stops[-1] < stop:
            size = self._stops.pop()
            self._reach(size, self._tower.roots(read, size - name.start))
        edge: Block | None = read
        if name.width == WIDTH:
            self._tower.add(read)
            edge = None
        if self._stops and self._stops[-1] == stop:
            self._reach(self._stops.pop(), self._tower.roots(edge, name.width))

    def _reach(self, size: int, roots: tuple[bytes, bytes]) -> None:
        self._roots = roots
        for mark in self._marks:
            if mark.size != size:
                continue
            if mark.root in roots or mark.root == self._root_by_files(size):
                self._agreed = size
                self._report.consistent_with.append(size)
            else:
                first, last = (self._agreed, size - 1) if size else (None, None)
                self._report.fault(
                    f"is not how the log began: its first {size} entries are others",
                    path=mark.name,
                    first=first,
                    last=last,
                )

    def _check_row(self, row: Row) -> Hashes:
        name, data = self._files.tile(row.level, row.number)
        held, even = hashes(data or b"")
        if data is None:
            last = name.start + name.width * name.unit - 1
            self._report.fault("is missing", path=name.path, first=name.start, last=last)
        elif len(held) != name.width or not even:
            first = name.start + min(len(held), name.width - 1) * name.unit
            self._report.fault("has a wrong length", path=name.path, first=first, last=first + name.unit - 1)
        held = held[: name.width]
        place = departure(held, row.chains)
        if place is not None:
            report_departure(name, place, self._report)
        self._files.check_beside(row.level, row.number, row.chains)
        return held + row.chains[0][len(held) :]

    def _check_root(self) -> None:
        report, signed = self._report, self._head.root
        if signed == self._roots[0]:
            if report.faults and report.entries == self._head.size:
                report.remarks.append("every entry is as it was signed: it is the hash tiles named that are wrong")
            return
        if report.faults and signed in {self._roots[1], self._root_by_files(self._head.size)}:
            return  # the published hashes are the signed ones: what departs from them is all that is wrong
        text = "the root over the entries is not the signed one: entries were changed, and the tiles with them"
        last = self._head.size - 1
        report.fault(text, path=CHECKPOINT, first=self._agreed if last >= 0 else None, last=last if last >= 0 else None)

    def _root_by_files(self, size: int) -> bytes | None:
        """The root by the highest tiles that there are, without what is below them."""
        levels: list[Hashes] = []
        while has := size >> 8 * len(levels):
            level, width = len(levels), has % WIDTH
            held: Hashes = []
            if width:
                held = hashes(self._files.tile(level, has // WIDTH)[1] or b"")[0][:width]
                if len(held) < width:
                    return None
            levels.append(held)
        return root_of(levels)

    def _check_absent(self) -> None:
        """Entries may be absent only below an index that an entry of the same tree names."""
        for start, stop in self._absent:
            if stop <= self._lets_absent:
                self._report.pruned_below = stop
                continue
            first = max(start, self._lets_absent)
            path = Name(ENTRIES, first // WIDTH, min(WIDTH, self._head.size - first // WIDTH * WIDTH)).path
            self._report.fault(
                "is missing, and no entry of the log says that it was pruned", path=path, first=first, last=stop - 1
            )
