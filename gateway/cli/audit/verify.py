"""`cdi-gateway audit verify`: a published log, recomputed from its bytes, trusting nothing but the keys given."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.x509 import Certificate, load_pem_x509_certificates

from adapters.logreading.archive import ArchiveSource, ArchiveUnreadable
from adapters.logreading.directory import DirectorySource
from adapters.logreading.http import HttpSource, LogUnreachable
from gateway.audit import note
from gateway.audit.note import COSIGNATURE_V1, ED25519, NoteInvalid, VerifierKey
from gateway.audit.verifying import Earlier, Report, Source, Trust, is_case, verify_case, verify_log
from gateway.cli.audit.progress import progress
from gateway.cli.terminal import DONE, NEGATIVE, Refused, complain, say, say_json

TOLD_MAX = 10

Where = Annotated[
    str,
    typer.Argument(
        metavar="DIR|URL|BUNDLE", show_default=False, help="The published log, or a case bundle; also zipped."
    ),
]
Keys = Annotated[
    list[str],
    typer.Option(
        "--key", metavar="VKEY", help="The log's verifier key, or a file that holds it; several after a change."
    ),
]
From = Annotated[
    list[Path] | None,
    typer.Option("--from", metavar="FILE", help="A checkpoint kept earlier: the log must begin with it. Repeatable."),
]
WitnessKeys = Annotated[
    list[str] | None, typer.Option("--witness", metavar="VKEY", help="A witness's verifier key, or a file. Repeatable.")
]
Quorum = Annotated[int | None, typer.Option(min=0, help="How many of the witnesses must have cosigned; default all.")]
StampRoots = Annotated[
    Path | None, typer.Option("--timestamp-ca", metavar="PEM", help="Roots of the time-stamping authority.")
]
Ca = Annotated[
    Path | None, typer.Option("--ca", metavar="PEM", help="Roots of an https:// address; default the system's.")
]


def verify(
    where: Where,
    key: Keys,
    from_: From = None,
    witness: WitnessKeys = None,
    quorum: Quorum = None,
    timestamp_ca: StampRoots = None,
    ca: Ca = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Recompute a published log from its bytes, and compare it with what was signed.

    Every entry is hashed, every tile and the root are rebuilt, and the log must begin with each checkpoint given by
    `--from`: keep one now and then, somewhere else, and nobody can change what it covers without being found out. Take
    the keys from whom you trust, not from where the log lies. The exit code is 1 when anything is wrong; the first
    wrong index is named.

    Of a case bundle it shows that its records are entries of the log, unchanged; the bundle's own `verify.py` also asks
    its query again.
    """
    trust = _trust(key, witness or [], quorum, timestamp_ca)
    earlier = [Earlier(name=str(file), data=_bytes(file)) for file in from_ or []]
    try:
        with _source(where, ca) as source, progress("verifying", quiet=as_json) as advance:
            if "://" not in where and is_case(source):
                if earlier:
                    raise Refused("a case bundle is not compared with earlier checkpoints: leave out --from")
                report = verify_case(source, trust)
            else:
                report = verify_log(source, trust, earlier=earlier, progress=advance)
    except (ArchiveUnreadable, LogUnreachable) as error:
        raise Refused(str(error), code=NEGATIVE) from error
    if as_json:
        say_json(_document(report))
    else:
        _tell(report)
    return DONE if report.ok else NEGATIVE


def _trust(keys: Sequence[str], witnesses: Sequence[str], quorum: int | None, roots: Path | None) -> Trust:
    of_log = tuple(_key(key, ED25519, "--key") for key in keys)
    of_witnesses = tuple(_key(key, COSIGNATURE_V1, "--witness") for key in witnesses)
    if quorum is not None and quorum > len(set(of_witnesses)):
        raise Refused(f"a quorum of {quorum} needs as many keys: name them with --witness")
    return Trust(
        keys=of_log,
        witnesses=of_witnesses,
        quorum=len(set(of_witnesses)) if quorum is None else quorum,
        timestamp_roots=_certificates(roots) if roots else (),
    )


def _key(given: str, kind: int, option: str) -> VerifierKey:
    """The key itself, or the first line of a file."""
    text = given
    if "+" not in given:
        lines = _bytes(Path(given)).decode("utf-8", "replace").split()
        text = lines[0] if lines else ""
    try:
        found = note.verifier_key(text)
    except NoteInvalid as error:
        raise Refused(f"{option} {given}: {error}; `cdi-gateway audit checkpoint` prints the log's") from error
    if found.type != kind:
        raise Refused(f"{option} {given}: is {'a witness' if kind == ED25519 else 'a log'}'s key, not the other kind")
    return found


def _certificates(file: Path) -> tuple[Certificate, ...]:
    try:
        return tuple(load_pem_x509_certificates(_bytes(file)))
    except ValueError as error:
        raise Refused(f"{file}: holds no PEM certificates") from error


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(note.NOTE_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}") from error


def _source(where: str, ca: Path | None) -> AbstractContextManager[Source]:
    if "://" in where:
        try:
            return HttpSource(where, ca_file=ca)
        except (ValueError, OSError) as error:
            raise Refused(f"{where}: {error}") from error
    path = Path(where)
    if path.is_dir():
        return nullcontext(DirectorySource(path))
    if path.is_file():
        return ArchiveSource(path)
    raise Refused(f"{where}: there is no such folder or file")


def _tell(report: Report) -> None:
    if report.origin is not None:
        say(f"log        {report.origin}")
        say(f"checkpoint {report.size} entries, root {report.root.hex()}")
        say(f"signed by  {', '.join(report.signed_by)}")
    for name, time in report.witnesses:
        say(f"witness    {name} at {_time(time)}")
    for size in report.consistent_with:
        say(f"begins as  the checkpoint of {size} entries")
    for stamp in report.stamps:
        said = {
            True: "",
            None: " (the authority's signature is not checked without --timestamp-ca)",
            False: " (NOT BELIEVED)",
        }
        say(f"time-stamp {stamp.size} entries at {stamp.time}{said[stamp.by_authority]}")
    for remark in report.remarks:
        say(f"note       {remark}")
    if report.pruned_below:
        say(f"pruned     entries below {report.pruned_below}, as the log itself says; their hashes hold")
    if report.ok:
        say(f"verified   {report.entries} entries")
        return
    for finding in report.findings[:TOLD_MAX]:
        complain(f"{finding.path}: {finding.text}" if finding.path else finding.text)
    if report.faults > TOLD_MAX:
        complain(f"… and {report.faults - TOLD_MAX} more")
    complain(f"NOT verified: {_first_wrong(report)}")


def _first_wrong(report: Report) -> str:
    if report.first_wrong is None:
        return "no entry can be believed" if report.origin is None else "what is wrong is not an entry"
    first, last = report.first_wrong
    return f"the first wrong index is {first}" if first == last else f"the first wrong index is from {first} to {last}"


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return "an impossible time"


def _document(report: Report) -> dict[str, Any]:
    first_wrong = report.first_wrong
    return {
        "verified": report.ok,
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "signedBy": list(report.signed_by),
        "witnesses": [{"name": name, "time": _time(time)} for name, time in report.witnesses],
        "entries": report.entries,
        "prunedBelow": report.pruned_below,
        "consistentWith": report.consistent_with,
        "timestamps": [
            {"size": stamp.size, "time": stamp.time, "byAuthority": stamp.by_authority} for stamp in report.stamps
        ],
        "remarks": report.remarks,
        "firstWrong": {"from": first_wrong[0], "to": first_wrong[1]} if first_wrong else None,
        "faults": report.faults,
        "findings": [
            {"text": found.text, "path": found.path, "from": found.first, "to": found.last} for found in report.findings
        ],
    }
