"""`ports.TileStore`: the published log as a folder of plain files, which any web server can serve and anybody can copy.

It knows names and durability; what the files say, and in which order they are written, is the publisher's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.audit import published
from gateway.audit.tiles import Tile
from gateway.errors import AuditUnavailable

_LOCK = ".lock"
_UNFINISHED = ".new"
_AT_ONCE_MAX = 64  # files between their writing and their renaming
_FILE_BYTES_MAX = 32 * 1024 * 1024  # an entry bundle of 256 entries of 64 KiB is half of that


class TileDirectory:
    """Used in threads, by one publisher at a time (`lock`) and any number of readers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None

    # --- one publisher ------------------------------------------------------------------------------------------

    def lock(self) -> bool:
        if self.locked():
            return True
        self.unlock()
        with _translated(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                # Of this opening of the file: the kernel gives it back when the process ends, however it ends.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:
                os.close(descriptor)
                raise
        self._lock = descriptor
        return self.locked()

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def locked(self) -> bool:
        # A folder that was moved away, or mounted over, took its lock with it.
        try:
            there = (self.folder / _LOCK).stat()
        except OSError:
            return False
        return self._lock is not None and os.path.samestat(os.fstat(self._lock), there)

    # --- files --------------------------------------------------------------------------------------------------

    def read(self, path: str) -> bytes | None:
        place = self._place(path)
        with _translated(place):
            try:
                with place.open("rb") as file:
                    data = file.read(_FILE_BYTES_MAX + 1)
            except (FileNotFoundError, NotADirectoryError):
                return None
        if len(data) > _FILE_BYTES_MAX:
            raise AuditUnavailable(private=f"{place}: larger than any file of a log")
        return data

    def write(self, files: Sequence[tuple[str, bytes]]) -> None:
        """kill -9 leaves some of the files whole, none in part, and at most unfinished ones that nobody reads; `sweep`
        removes those. After a failed sync the next try writes the bytes anew: it never syncs the same pages twice."""
        for start in range(0, len(files), _AT_ONCE_MAX):
            self._write([(self._place(path), data) for path, data in files[start : start + _AT_ONCE_MAX]])

    def _write(self, files: Sequence[tuple[Path, bytes]]) -> None:
        suffix = f".{os.urandom(6).hex()}{_UNFINISHED}"
        unfinished = [place.with_name(f".{place.name}{suffix}") for place, _ in files]
        touched: dict[Path, None] = {}
        with _translated(self.folder):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                for place, _ in files:
                    self._make_folder(place.parent, touched)
                _write_synced([(other, data) for other, (_, data) in zip(unfinished, files, strict=True)])
                # A name appears only when what it names is on disk, and is promised only when the name is, too.
                for other, (place, _) in zip(unfinished, files, strict=True):
                    other.rename(place)
                for folder in touched:
                    _sync_folder(folder)
            except OSError:
                for other in unfinished:
                    with contextlib.suppress(OSError):
                        other.unlink(missing_ok=True)
                raise

    def _make_folder(self, folder: Path, touched: dict[Path, None]) -> None:
        """Notes what is to be synced: the folder, and above it all those in which a name was added."""
        touched[folder] = None
        missing = []
        while folder != self.folder and not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            touched[new] = touched[new.parent] = None

    def remove(self, paths: Sequence[str]) -> None:
        with _translated(self.folder):
            places = [self._place(path) for path in paths]
            for place in places:
                place.unlink(missing_ok=True)
            for folder in dict.fromkeys(place.parent for place in places if place.parent.is_dir()):
                _sync_folder(folder)

    def remove_partial(self, tile: Tile) -> None:
        place = self._place(tile.full.path)
        with _translated(place), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(place.with_name(f"{place.name}.p"))

    def tiles(self) -> Iterator[Tile]:
        with _translated(self.folder):
            for place, folders, names in os.walk(self.folder / "tile"):
                below = Path(place).relative_to(self.folder).as_posix()
                for name in names:
                    found = published.tile(f"{below}/{name}")
                    if found is not None:
                        yield found
                folders.sort()

    def sweep(self) -> None:
        with _translated(self.folder):
            for place, folders, names in os.walk(self.folder):
                if Path(place) == self.folder and "timestamps" in folders:
                    folders.remove("timestamps")  # not the publisher's alone
                for name in names:
                    if name.startswith(".") and name.endswith(_UNFINISHED):
                        (Path(place) / name).unlink(missing_ok=True)

    def stamped(self) -> Sequence[int]:
        sizes = []
        with _translated(self.folder), contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.folder / "timestamps"):
                number, _, rest = entry.name.partition(".")
                if rest == "tsr" and published.kind(f"timestamps/{entry.name}") is published.Kind.TOKEN:
                    sizes.append(int(number))
        return sorted(sizes)

    def _place(self, path: str) -> Path:
        if published.kind(path) is None:
            raise ValueError("not a file of a published log")
        return self.folder / path


def _written(place: Path, data: bytes) -> int:
    """A new file with these bytes, open and not synced yet."""
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write_synced(files: Sequence[tuple[Path, bytes]]) -> None:
    """All written before the first is synced: one commit of the file system's journal then serves many."""
    with contextlib.ExitStack() as opened:
        descriptors = []
        for place, data in files:
            descriptor = _written(place, data)
            opened.callback(os.close, descriptor)
            descriptors.append(descriptor)
        for descriptor in descriptors:
            os.fdatasync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translated(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AuditUnavailable(
            private=f"{error.filename or place}: {error.strerror or type(error).__name__}"
        ) from error
