"""Fakes that several areas use. Each obeys its port and can break on demand."""

from __future__ import annotations


class FakeClock:
    """Time stands still until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0, monotonic: float = 1_000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds


class FakeSealer:
    """Binds the context and hides the text from a reader of the bytes, and no more."""

    def seal(self, text: str, *, context: str) -> bytes:
        return f"{context}\x00{text[::-1]}".encode()

    def open(self, sealed: bytes, *, context: str) -> str:
        bound, _, text = sealed.decode().partition("\x00")
        if bound != context:
            raise ValueError("sealed for another context")
        return text[::-1]
