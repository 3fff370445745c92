"""A published log in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


class DirectorySource:
    """See `verifying.Source`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        file = self._folder / path
        if not file.is_file():  # a pipe would never end
            return None
        with file.open("rb") as stream:
            return stream.read(bytes_max + 1)

    def stream(self, paths: Iterable[str], *, bytes_max: int) -> Iterator[bytes | None]:
        return (self.read(path, bytes_max=bytes_max) for path in paths)

    def names(self, folder: str) -> Iterator[str]:
        """What begins with a dot is the writer's own (locks, files under way), and no part of the log."""
        for parent, folders, files in os.walk(self._folder / folder, onerror=_unless_absent):
            folders.sort()
            for name in sorted(files):
                file = Path(parent, name)
                if not name.startswith(".") and file.is_file():
                    yield file.relative_to(self._folder).as_posix()


def _unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
