"""CSV, JSON Lines, Parquet and the case bundle hold the same records."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from adapters.casefile.draft import Draft
from adapters.casefile.parquet import ParquetTable
from adapters.casefile.tables import CsvTable, JsonLinesTable
from gateway.audit.columns import row
from gateway.compliance.table_file import TableFile
from tests import samples
from tests.case_bundles import OPERATOR, World, open_world, unzipped

ASKED = "type:verification.*"
ERASED = "e" * 64


async def exported(world: World, name: str, table: Any) -> bytes:
    with Draft(world.folder / name) as draft:
        await world.exporting().export(world.query(ASKED), TableFile(name, table(draft.file)), draft)
    return (world.folder / name).read_bytes()


async def test_all_formats_hold_the_same(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.append([samples.record(latency_ms=index) for index in range(3)])
        await world.append([samples.record(consent=samples.consent(subject=ERASED))])
        await world.log.erase(ERASED, OPERATOR.record(world.clock.now(), "audit.erased", subject=ERASED))
        await world.publish()
        objects = [orjson.loads(line) for line in (await exported(world, "jsonl", JsonLinesTable)).splitlines()]
        text = (await exported(world, "csv", CsvTable)).decode()
        parquet = pq.read_table(io.BytesIO(await exported(world, "parquet", ParquetTable))).to_pylist()
        await world.publish()
        await world.case(ASKED)
    files = unzipped(tmp_path / "case.zip")
    rows = [row(one["index"], bytes.fromhex(one["leafHash"]), one["condition"], one["entry"]) for one in objects]
    assert [one["condition"] for one in rows] == ["open", "open", "open", "erased"]
    assert list(csv.DictReader(io.StringIO(text, newline=""))) == [
        {name: "" if cell is None else str(cell) for name, cell in one.items()} for one in rows
    ]
    assert [{**one, "time": None} for one in parquet] == [{**one, "time": None} for one in rows]
    assert [orjson.loads(files[f"opened/{one['index']}.json"])["entry"] for one in objects] == [
        one["entry"] for one in objects
    ]
    assert files["records.csv"].decode("utf-8-sig") == text
