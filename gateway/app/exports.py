"""An export put together: the flow over an opened deployment, and the file that it writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import IO

from adapters.casefile.archive import ZipArchive
from adapters.casefile.draft import Draft
from adapters.casefile.enclosed import enclosed
from adapters.casefile.overview import Overview
from adapters.casefile.tables import CsvTable, JsonLinesTable
from adapters.keys.log_key import log_signers
from adapters.tiles.directory import TileDirectory
from gateway.app.desk import Desk
from gateway.app.parts import SOFTWARE
from gateway.audit.case import case_name
from gateway.compliance.case_file import COVERED_SECONDS, CaseFile, Keeper
from gateway.compliance.exporting import Exporting, ExportRefused, Format
from gateway.compliance.table_file import TableFile
from gateway.ports import RecordTable

CASE, CASE_COMPLETE = "case", "case-complete"
TABLES = ("csv", "jsonl", "parquet")
FORMATS = (CASE, CASE_COMPLETE, *TABLES)


def exporting(desk: Desk) -> Exporting:
    return Exporting(
        log=desk.audit,
        index=desk.index,
        indexer=desk.indexer,
        keyed=desk.keyed,
        clock=desk.clock,
        operator=desk.operator,
    )


@contextlib.contextmanager
def open_file(desk: Desk, path: Path, *, file_format: str, bom: bool = False) -> Iterator[tuple[Format, Draft]]:
    """What is written, and where; what was not published at the end is removed. `file_format`: of FORMATS.

    Raises ExportRefused, KeyFileRefused, FileExistsError, BlockingIOError (another export writes it), OSError.
    """
    with contextlib.ExitStack() as stack:
        draft = stack.enter_context(Draft(path))
        if file_format in TABLES:
            table = _table(draft.file, file_format, bom=bom)
            stack.callback(table.close)  # also of an export that failed, while its file is still open
            yield TableFile(file_format, table), draft
        else:
            overview = stack.enter_context(Overview())
            archive = stack.enter_context(ZipArchive(draft.file))
            yield _case(desk, archive, overview, whole=file_format == CASE_COMPLETE), draft


def _table(file: IO[bytes], file_format: str, *, bom: bool) -> RecordTable:
    if file_format == "csv":
        return CsvTable(file, bom=bom)
    if file_format == "jsonl":
        return JsonLinesTable(file)
    try:
        from adapters.casefile.parquet import ParquetTable  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise ExportRefused("Parquet needs an extra: install cdi-dvp-gateway[parquet]") from error
    return ParquetTable(file)


def _case(desk: Desk, archive: ZipArchive, overview: Overview, *, whole: bool) -> CaseFile:
    audit = desk.settings.audit
    files = [audit.signing_key_file, *audit.also_signing_key_files]
    keeper = Keeper(
        log_signers=log_signers(audit.origin, files),
        case_signers=log_signers(case_name(audit.origin), files),
        witnesses=[witness.vkey for witness in audit.witnesses.witnesses],
        enclosed=enclosed(),
        operator=desk.operator.name,
        participant=desk.operator.participant,
        software=f"{SOFTWARE}/{version(SOFTWARE)}",
    )
    return CaseFile(
        archive,
        overview,
        store=TileDirectory(audit.publish.dir),
        log=desk.audit,
        clock=desk.clock,
        keeper=keeper,
        whole=whole,
        covered_seconds=COVERED_SECONDS,
    )
