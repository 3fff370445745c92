"""`ports.RecordTable` as CSV and as JSON Lines. CSV is safe to open in a spreadsheet: no cell of it is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import IO

import orjson

from gateway.audit.columns import COLUMNS, Cell, row
from gateway.ports import ExportedRow

_BOM = b"\xef\xbb\xbf"
_FULL_WIDTH = (  # which spreadsheets of East Asian locales take for the plain ones
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", *_FULL_WIDTH)
_QUOTE = "'"


class CsvTable:
    """RFC 4180, UTF-8, CRLF. `bom`: for spreadsheets that take a file without one for another encoding."""

    def __init__(self, file: IO[bytes], *, bom: bool = False) -> None:
        file.write(_BOM if bom else b"")
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow(COLUMNS)
        self._closed = False

    def add(self, rows: Sequence[ExportedRow]) -> None:
        self._writer.writerows([safe(cell) for cell in cells(found).values()] for found in rows)

    def close(self) -> None:
        if not self._closed:
            self._text.detach()  # the file is its owner's to close
            self._closed = True


class JsonLinesTable:
    """One object a line: index, leaf hash, condition, and the entry as it could be opened."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, rows: Sequence[ExportedRow]) -> None:
        self._file.writelines(orjson.dumps(shown(found), option=orjson.OPT_APPEND_NEWLINE) for found in rows)

    def close(self) -> None:
        """Each line is whole as it is."""
        self._file.flush()


def cells(found: ExportedRow) -> dict[str, Cell]:
    return row(found.index, found.leaf_hash, found.condition, found.body)


def shown(found: ExportedRow) -> dict[str, object]:
    return {
        "index": found.index,
        "leafHash": found.leaf_hash.hex(),
        "condition": found.condition,
        "entry": found.body,
    }


def safe(cell: Cell) -> Cell:
    """The cell, which no spreadsheet takes for a formula. Taking one apostrophe from its beginning, where there is
    one, gives back what it was."""
    if isinstance(cell, str) and cell.lstrip(" \n").startswith((*_FORMULA, _QUOTE)):
        return _QUOTE + cell
    return cell
