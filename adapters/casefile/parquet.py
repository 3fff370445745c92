"""`ports.RecordTable` as Apache Parquet, for analysis. Needs the extra `parquet`: import it when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import IO

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from adapters.casefile.tables import cells
from gateway.audit.columns import COLUMNS, Cell
from gateway.ports import ExportedRow

_TIME = pa.timestamp("us", tz="UTC")
_KINDS = {int: pa.int64(), str: pa.string()}
_SCHEMA = pa.schema([(name, _TIME if name == "time" else _KINDS[kind]) for name, kind in COLUMNS.items()])


class ParquetTable:
    """One row group for each `add`: memory is that of a page."""

    def __init__(self, file: IO[bytes]) -> None:
        self._writer = pq.ParquetWriter(file, _SCHEMA, compression="zstd")

    def add(self, rows: Sequence[ExportedRow]) -> None:
        if not rows:
            return
        found = [cells(row) for row in rows]
        arrays = [pa.array([_value(name, row[name]) for row in found], _SCHEMA.field(name).type) for name in COLUMNS]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))

    def close(self) -> None:
        self._writer.close()


def _value(name: str, cell: Cell) -> Cell | datetime:
    if name == "time" and isinstance(cell, str):
        return datetime.fromisoformat(cell).astimezone(UTC)
    return cell
