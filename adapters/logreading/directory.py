"""A published log in a folder."""

from __future__ import annotations

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
        for file in sorted((self._folder / folder).glob("**/*")):
            if file.is_file() and not file.name.startswith("."):
                yield file.relative_to(self._folder).as_posix()
