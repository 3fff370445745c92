"""`ports.SpooledTable`: the CSV table that goes into a case bundle, on disk beyond a few megabytes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Self, cast

from adapters.casefile.tables import CsvTable
from gateway.ports import ExportedRow

_IN_MEMORY_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024


class Overview:
    """As a context manager it drops what was kept. A byte order mark makes spreadsheets take it for what it is."""

    def __init__(self) -> None:
        # A file without a name: it is gone with the process, however that ends.
        self._file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))  # noqa: SIM115
        self._table = CsvTable(self._file, bom=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, rows: Sequence[ExportedRow]) -> None:
        self._table.add(rows)

    def close(self) -> None:
        self._table.close()

    def chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK_BYTES):
            yield chunk
