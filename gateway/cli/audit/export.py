"""`cdi-gateway audit export`: what a query finds, as a file for others."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.app.desk import Desk
from gateway.app.exports import CASE, CASE_COMPLETE, exporting, open_file
from gateway.audit.query import Query
from gateway.cli.audit.desk import AsJson, Config, at_desk
from gateway.cli.audit.progress import progress
from gateway.cli.audit.query import LANGUAGE, Tz, Words, query_of, zone_of
from gateway.cli.audit.second_person import ApprovalFile, RequestOut, approval_text, second_person, with_approval
from gateway.cli.terminal import DONE, NEGATIVE, Refused, complain, say, say_json
from gateway.compliance.exporting import Agreed, Exported, ExportRefused, asked
from gateway.compliance.second_person import ApprovalNeeded

HELP = f"""Export what a query finds: as a case bundle for outsiders, or as a table.

A **case bundle** is a zip with each record, a proof that it is in the log, the signed checkpoint with its witnesses and
time-stamps, a text for a lawyer, and `verify.py`, which checks all of it with Python alone. That no matching record was
left out is your signed word, unless you give `--complete`: then the bundle holds every entry that was searched (private
fields sealed), and `verify.py` searches them again. Narrow the range by `index:`.

**Tables** (CSV, JSON Lines, Parquet) hold the same records opened, without proofs.

The export is an entry of the log, with the query and the hash of the file, before the file appears. A query that counts
from now (`from:-7d`) is another query a minute later: for a second person's approval give times.

```
cdi-gateway audit export --config gateway.yaml request:0198… --out case.zip
cdi-gateway audit export --config gateway.yaml type:verification.* index:0..99999 --complete --out case.zip
cdi-gateway audit export --config gateway.yaml from:2026-11-01 --format csv --bom --out november.csv
```

{LANGUAGE}
"""


class FileFormat(StrEnum):
    CASE = "case"
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def export(
    config: Config,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The file; it must not be there yet.")],
    query: Words = None,
    file_format: Annotated[FileFormat, typer.Option("--format", "-f", help="What kind of file.")] = FileFormat.CASE,
    complete: Annotated[
        bool, typer.Option("--complete", help="Case bundle with every entry that was searched.")
    ] = False,
    bom: Annotated[bool, typer.Option("--bom", help="CSV with a byte order mark, for spreadsheets.")] = False,
    tz: Tz = "UTC",
    approval: ApprovalFile = None,
    request_out: RequestOut = None,
    as_json: AsJson = False,
) -> int:
    if complete and file_format is not FileFormat.CASE:
        raise Refused("--complete is for case bundles: tables have no proofs")
    if bom and file_format is not FileFormat.CSV:
        raise Refused("--bom is for --format csv")
    kind = (CASE_COMPLETE if complete else CASE) if file_format is FileFormat.CASE else file_format.value
    zone, given = zone_of(tz), approval_text(approval)

    async def work(desk: Desk) -> int:
        wanted = query_of(query, desk, zone)
        agreed = _agreement(desk, wanted, " ".join(query or ()), kind, given)
        try:
            with (
                open_file(desk, out, file_format=kind, bom=bom) as (file, draft),
                progress("exporting", quiet=as_json) as advance,
            ):
                done = await exporting(desk).export(wanted, file, draft, agreed=agreed, progress=advance)
        except ExportRefused as refused:
            raise Refused(str(refused), code=NEGATIVE) from refused
        except FileExistsError as error:
            raise Refused(f"{out} is there already: give another --out") from error
        except BlockingIOError as error:
            raise Refused(f"another export is writing {out}", code=NEGATIVE) from error
        _report(done, out, kind, as_json=as_json)
        return DONE

    return at_desk(config, lambda desk: with_approval(lambda: work(desk), request_out))


def _agreement(desk: Desk, wanted: Query, words: str, kind: str, given: str | None) -> Agreed:
    """Checked now, used up when the export has its file. Raises ApprovalNeeded, ApprovalRefused."""
    second, request = (
        second_person(desk),
        asked(desk.operator, desk.settings.audit.origin, wanted, kind, desk.clock.now()),
    )
    try:
        second.check(request, given, desk.clock.now())
    except ApprovalNeeded:
        if words.strip() != str(wanted):
            complain(f"with the approval, ask by the query's normal form: {wanted}")
        raise
    return lambda: second.agrees(request, given, desk.clock.now())


def _report(done: Exported, out: Path, kind: str, *, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "file": str(out),
                "format": kind,
                "query": str(done.span.query),
                "records": done.tally.records,
                "erased": done.tally.erased,
                "unreadable": done.tally.unreadable,
                "first": done.span.first,
                "end": done.span.end,
                "sha256": done.sha256,
                "bytes": done.size_bytes,
                "record": done.index,
            }
        )
        return
    searched = f"entries {done.span.first} to {done.span.end - 1}" if done.span.end > done.span.first else "no entry"
    say(f"wrote {out}: {done.tally.records} records; searched: {searched}")
    if done.tally.erased:
        say(f"of {done.tally.erased} records the private fields were erased")
    if done.tally.unreadable:
        say(f"{done.tally.unreadable} records hold what cannot be opened: run `cdi-gateway audit verify`")
    say(f"SHA-256 {done.sha256}, recorded as entry {done.index}")
    if kind in {CASE, CASE_COMPLETE}:
        say("whoever gets it unzips it and runs: python3 verify.py --key VKEY (yours: `cdi-gateway audit checkpoint`)")
