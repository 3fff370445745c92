"""What the verifier found: each fault with the entries it concerns, and what was shown to hold."""

from __future__ import annotations

from dataclasses import dataclass, field

KEPT_MAX = 50
"""Faults that are told one by one; of more only the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault. The first wrong index is between `first` and `last`; both None where it is not about entries."""

    text: str
    path: str | None = None
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A time-stamp beside the log: over the checkpoint of which size, at what time (RFC 3339).

    `by_authority`: whether its signature leads to a given root; None when no root was given.
    """

    size: int
    time: str
    by_authority: bool | None


@dataclass(slots=True, kw_only=True)
class Report:
    """The log verified when `ok`. Sizes and counts say what was looked at."""

    origin: str | None = None
    size: int = 0
    root: bytes = b""
    signed_by: tuple[str, ...] = ()  # key ids of the log, hex
    witnesses: tuple[tuple[str, int], ...] = ()  # name, and the cosignature's time in Unix seconds
    entries: int = 0  # recomputed from their bytes
    pruned_below: int = 0
    consistent_with: list[int] = field(default_factory=list)  # sizes of earlier checkpoints
    stamps: list[Stamp] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    faults: int = 0  # as many as there are, told or not
    _first: int | None = None
    _last: int | None = None

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def first_wrong(self) -> tuple[int, int] | None:
        """The first wrong index is between these two, which are equal where it is known exactly."""
        if self._first is None or self._last is None:
            return None
        return self._first, self._last

    def fault(self, text: str, *, path: str | None = None, first: int | None = None, last: int | None = None) -> None:
        """`last` is `first` unless it is given."""
        self.faults += 1
        if first is not None:
            last = first if last is None else last
            self._first = first if self._first is None else min(self._first, first)
            self._last = last if self._last is None else min(self._last, last)
        if len(self.findings) < KEPT_MAX:
            self.findings.append(Finding(text=text, path=path, first=first, last=last))
