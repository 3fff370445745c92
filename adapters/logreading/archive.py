"""A published log, or a part of one, in a zip archive that may come from anybody."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from zipfile import BadZipFile, ZipFile

MEMBERS_MAX = 2_000_000


class ArchiveUnreadable(OSError):
    """The file is no zip archive, is damaged, or holds two files of one name or more files than any log."""


class ArchiveSource:
    """See `verifying.Source`. One folder at the top of the archive that holds everything is looked into.

    A context manager. Raises ArchiveUnreadable, also when it is opened.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._archive = ZipFile(file)
        except BadZipFile as error:
            raise ArchiveUnreadable(f"{file.name} is no zip archive") from error
        members = [info.filename for info in self._archive.infolist() if not info.is_dir()]
        if len(members) > MEMBERS_MAX:
            raise ArchiveUnreadable(f"{file.name} holds more than {MEMBERS_MAX} files")
        if len(set(members)) != len(members):  # programs differ in which of the two they show
            raise ArchiveUnreadable(f"{file.name} holds two files of one name")
        tops = {member.partition("/")[0] for member in members if "/" in member}
        alone = len(tops) == 1 and all("/" in member for member in members) and tops.isdisjoint({"tile", "timestamps"})
        self._prefix = f"{tops.pop()}/" if alone else ""
        self._members = frozenset(members)

    def __enter__(self) -> ArchiveSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        """Not more than is asked for is unpacked, whatever the archive says of its sizes."""
        member = self._prefix + path
        if member not in self._members:
            return None
        try:
            with self._archive.open(member) as stream:
                return stream.read(bytes_max + 1)
        except (BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
            raise ArchiveUnreadable(f"{path} cannot be unpacked") from error

    def stream(self, paths: Iterable[str], *, bytes_max: int) -> Iterator[bytes | None]:
        return (self.read(path, bytes_max=bytes_max) for path in paths)

    def names(self, folder: str) -> Iterator[str]:
        start = f"{self._prefix}{folder}/" if folder else self._prefix
        return (member[len(self._prefix) :] for member in sorted(self._members) if member.startswith(start))
