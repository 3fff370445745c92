"""`ports.Archive` as a zip: fixed times, modes and order of files, so that equal content gives equal bytes."""

from __future__ import annotations

import hashlib
import zipfile
from types import TracebackType
from typing import IO, Any, Self

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can say
_READABLE = 0o100644 << 16
_UNIX = 3
_LEVEL = 6


class ZipArchive:
    """As a context manager it lets go of the file at the end, also in the middle of one of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self._digests: dict[str, str] = {}
        self._path = ""
        self._open: IO[bytes] | None = None
        self._digest: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, path: str) -> None:
        self._end()
        if path in self._digests:
            raise ValueError("a file of this name is in the archive already")
        info = zipfile.ZipInfo(path, date_time=_EARLIEST)
        info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, _READABLE, _UNIX
        self._path, self._digest = path, hashlib.sha256()
        # Its length is not known yet, and may be beyond what the old format can say.
        self._open = self._zip.open(info, "w", force_zip64=True)

    def write(self, data: bytes) -> None:
        if self._open is None:
            raise ValueError("no file was started")
        self._open.write(data)
        self._digest.update(data)

    def digests(self) -> dict[str, str]:
        self._end()
        return dict(self._digests)

    def close(self) -> None:
        self._end()
        self._zip.close()

    def _end(self) -> None:
        if self._open is not None:
            self._open.close()
            self._digests[self._path] = self._digest.hexdigest()
            self._open = None
