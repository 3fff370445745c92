"""Where published bytes come from, as the verifier needs it: a folder, an archive, or an address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol


class Source(Protocol):
    """Paths are relative to the log, with `/`. Raises OSError for what cannot be read."""

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        """The file, or None when there is none. Of a longer one `bytes_max + 1` bytes: enough to see that it is."""

    def stream(self, paths: Iterable[str], *, bytes_max: int) -> Iterator[bytes | None]:
        """`read` of each, in order; a source that is far away reads ahead."""

    def names(self, folder: str) -> Iterable[str] | None:
        """The paths of all files below the folder, of all for ""; None when this source cannot list."""
