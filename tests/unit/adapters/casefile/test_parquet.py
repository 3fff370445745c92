"""Parquet holds the cells of the CSV, with their types."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.casefile.parquet import ParquetTable
from gateway.audit.columns import COLUMNS
from tests.unit.adapters.casefile.test_tables import csv_of, exported

ROWS = (exported(7), exported(8, condition="erased", latencyMs=None, count=2**40, outcome="MATCH"))


def written() -> bytes:
    data = io.BytesIO()
    table = ParquetTable(data)
    for row in ROWS:
        table.add([row])
    table.add([])
    table.close()
    return data.getvalue()


def test_it_holds_what_the_csv_holds() -> None:
    found = pq.read_table(io.BytesIO(written())).to_pylist()
    lines = list(csv.DictReader(io.StringIO(csv_of(*ROWS).decode(), newline="")))
    times = [row.pop("time") for row in found]
    assert times == [datetime(2027, 1, 15, 8, 0, 0, 123_456, UTC)] * 2
    assert {line.pop("time") for line in lines} == {"2027-01-15T08:00:00.123456Z"}
    assert [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in found] == lines


def test_columns_have_their_types() -> None:
    schema = pq.read_schema(io.BytesIO(written()))
    assert schema.names == list(COLUMNS)
    assert schema.field("index").type == schema.field("latencyMs").type == pa.int64()
    assert schema.field("time").type == pa.timestamp("us", tz="UTC")
    assert schema.field("outcome").type == pa.string()
