"""What a process remembers for a while under a secret name: so many at most, the oldest goes first."""

from __future__ import annotations

import secrets
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class Bounded(Generic[Kept]):
    """`now` never goes back in a way that matters: entries expire in the order in which they came."""

    def __init__(self, kept_max: int, *, lifetime_seconds: int) -> None:
        self._kept_max, self._lifetime_seconds = kept_max, lifetime_seconds
        self._kept: dict[str, tuple[int, Kept]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, value: Kept, *, now: int) -> str:
        """Remember it under a new name of 256 random bits."""
        name = secrets.token_urlsafe(32)
        self.put(name, value, now=now)
        return name

    def put(self, name: str, value: Kept, *, now: int) -> None:
        self._kept.pop(name, None)
        self._forget(now)
        self._kept[name] = (now + self._lifetime_seconds, value)

    def get(self, name: str, *, now: int) -> Kept | None:
        until, value = self._kept.get(name, (0, None))
        return value if now < until else None

    def take(self, name: str, *, now: int) -> Kept | None:
        """Once: it is gone on return."""
        until, value = self._kept.pop(name, (0, None))
        return value if now < until else None

    def _forget(self, now: int) -> None:
        while self._kept:
            oldest = next(iter(self._kept))
            if now < self._kept[oldest][0] and len(self._kept) < self._kept_max:
                return
            del self._kept[oldest]
