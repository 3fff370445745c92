"""`ports.Draft`: a file under a hidden name beside its own, until it is whole and has been recorded.

A crash leaves the hidden file. The next export of the same name takes it over and empties it; nothing else reads it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 1024 * 1024
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}  # what file systems without hard links say


class Draft:
    """As a context manager it removes what was not published. `file` is what the content is written to."""

    def __init__(self, path: Path) -> None:
        """Raises FileExistsError for a file that is there already, BlockingIOError while another export writes it."""
        if path.exists() or path.is_symlink():
            raise FileExistsError(f"{path} is there already")
        self.path = path
        self._hidden = path.with_name(f".{path.name}.part")
        # Its content is as private as the log's: for the owner alone, whatever the umask.
        descriptor = os.open(self._hidden, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
        except OSError:
            os.close(descriptor)
            raise
        self.file = os.fdopen(descriptor, "w+b")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # By name while the lock is still held: nobody else can have begun with it.
        self._hidden.unlink(missing_ok=True)
        self.file.close()

    def finish(self) -> tuple[str, int]:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.seek(0)
        digest, size = hashlib.sha256(), 0
        while chunk := self.file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
        return digest.hexdigest(), size

    def publish(self) -> None:
        """Raises FileExistsError when something came there in the meantime: nothing is replaced."""
        try:
            # A link, unlike a rename, replaces nothing.
            os.link(self._hidden, self.path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._rename()
        else:
            self._hidden.unlink()
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _rename(self) -> None:
        """Without links: the name is taken first, by an empty file of ours, which the rename replaces. A crash between
        leaves that one, whose hash is not the one on record."""
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            self._hidden.rename(self.path)
        except OSError:
            self.path.unlink(missing_ok=True)
            raise
