"""Tables hold what the entries say, and no cell of a CSV is a formula."""

from __future__ import annotations

import csv
import io

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.casefile.tables import CsvTable, JsonLinesTable, safe
from gateway.audit.columns import COLUMNS
from gateway.ports import ExportedRow

FULL_WIDTH = tuple(chr(ord(sign) + 0xFEE0) for sign in "=+-@")
BODY = {"id": "record-1", "time": "2027-01-15T08:00:00.123456Z", "type": "verification.decided", "latencyMs": 12}


def exported(index: int = 7, condition: str = "open", **body: object) -> ExportedRow:
    return ExportedRow(index=index, leaf_hash=b"\xab" * 32, condition=condition, body={**BODY, **body})


def csv_of(*rows: ExportedRow, bom: bool = False) -> bytes:
    data = io.BytesIO()
    table = CsvTable(data, bom=bom)
    table.add(rows)
    table.close()
    return data.getvalue()


def test_csv_has_a_heading_and_a_line_for_each_record() -> None:
    lines = list(csv.reader(io.StringIO(csv_of(exported(7), exported(8)).decode(), newline="")))
    assert lines[0] == list(COLUMNS)
    first = dict(zip(lines[0], lines[1], strict=True))
    assert (first["index"], first["record"], first["latencyMs"], first["digest"]) == ("7", "record-1", "12", "")
    assert (first["leafHash"], len(lines)) == ("ab" * 32, 3)


def test_csv_is_rfc_4180_and_says_its_encoding_when_asked() -> None:
    data = csv_of(exported(counterparty='a,"b"\nc'), bom=True)
    assert data.startswith(b"\xef\xbb\xbfindex,")
    assert b'"a,""b""\nc"' in data
    assert data.endswith(b"\r\n")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "  =", "\n=", "'", *FULL_WIDTH])
def test_no_cell_is_a_formula(start: str) -> None:
    cell = f"{start}HYPERLINK(1)"
    (line,) = list(csv.DictReader(io.StringIO(csv_of(exported(counterparty=cell)).decode(), newline="")))
    assert line["counterparty"] == "'" + cell


@given(st.text())
def test_a_cell_comes_back_as_it_was(text: str) -> None:
    found = safe(text)
    assert isinstance(found, str)
    assert found.removeprefix("'") == text
    assert found.lstrip(" \n")[:1] not in ("=", "+", "-", "@", "\t", "\r", *FULL_WIDTH)


def test_numbers_and_nothing_stay_what_they_are() -> None:
    assert (safe(3), safe(None), safe("MATCH")) == (3, None, "MATCH")


def test_json_lines_hold_the_opened_entry() -> None:
    data = io.BytesIO()
    table = JsonLinesTable(data)
    table.add([exported(7, counterparty="=1+1"), exported(8, condition="erased", sealed="erased")])
    table.close()
    first, second = map(orjson.loads, data.getvalue().splitlines())
    assert first == {"index": 7, "leafHash": "ab" * 32, "condition": "open", "entry": {**BODY, "counterparty": "=1+1"}}
    assert (second["condition"], second["entry"]["sealed"]) == ("erased", "erased")
