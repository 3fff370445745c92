"""Time-stamps that lie beside a log (`timestamps/<size>.checkpoint` and `.tsr`, RFC 3161).

The imprint is always checked; the authority's own signature only against given roots.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC

from cryptography.x509 import Certificate
from rfc3161_client import TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from gateway.audit import note
from gateway.audit.note import Checkpoint, NoteInvalid
from gateway.audit.verifying.findings import Report, Stamp
from gateway.audit.verifying.heads import Mark, Trust, fits
from gateway.audit.verifying.source import Source

_FOLDER = "timestamps"
_NAME = re.compile(r"timestamps/(0|[1-9][0-9]{0,18})\.(checkpoint|tsr)")
_TOKEN_BYTES_MAX = 256 * 1024
_HASHES = {
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}


def listed(source: Source) -> list[int] | None:
    """The sizes of the time-stamped checkpoints that are there; None where that cannot be known. To be asked before the
    newest checkpoint is read: a log that is being written must not look as if it had gone back."""
    names = source.names(_FOLDER)
    if names is None:
        return None
    return sorted({int(match[1]) for match in map(_NAME.fullmatch, names) if match is not None})


def stamped(source: Source, sizes: Sequence[int] | None, head: Checkpoint, trust: Trust, report: Report) -> list[Mark]:
    """The heads that were time-stamped, which the log must pass through. Reports the tokens that do not fit theirs."""
    if sizes is None:
        report.remarks.append("time-stamps were not looked for: this source cannot be listed")
        return []
    found = (_stamped(source, size, head, trust, report) for size in sizes)
    return [mark for mark in found if mark is not None]


def _stamped(source: Source, size: int, head: Checkpoint, trust: Trust, report: Report) -> Mark | None:
    path = f"{_FOLDER}/{size}.checkpoint"
    data = source.read(path, bytes_max=note.NOTE_BYTES_MAX)
    token = source.read(f"{_FOLDER}/{size}.tsr", bytes_max=_TOKEN_BYTES_MAX)
    if data is None:
        report.fault("is missing, and its time-stamp is here", path=path)
        return None
    try:
        kept = note.parse(data)
        old = note.checkpoint(kept.text)
        known = note.verify(kept, trust.keys)
    except NoteInvalid as error:
        report.fault(f"cannot be believed: {error}", path=path)
        return None
    if old.origin != head.origin or old.size != size:
        report.fault("is of another log or size than its place says", path=path)
        return None
    if not known:
        # Whoever wrote it, its root is compared below; after a change of keys the older one is in the log's entries.
        report.remarks.append(f"{path} is signed by a key that was not given")
    if token is None:
        report.remarks.append(f"{path} has no time-stamp yet")
    else:
        _check_token(token, data, size, trust.timestamp_roots, report)
    return Mark(name=path, size=old.size, root=old.root) if fits(path, old, head, report) else None


def _check_token(token: bytes, data: bytes, size: int, roots: Sequence[Certificate], report: Report) -> None:
    path = f"{_FOLDER}/{size}.tsr"
    try:
        response = decode_timestamp_response(token)
        info = response.tst_info
        imprint = info.message_imprint
        digest = _HASHES.get(imprint.hash_algorithm.dotted_string)
        time = info.gen_time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except ValueError:
        report.fault("is no time-stamp (RFC 3161)", path=path)
        return
    if digest is None or digest(data).digest() != imprint.message:
        report.fault(f"is no time-stamp over {_FOLDER}/{size}.checkpoint", path=path)
        return
    by_authority = _by_authority(response, data, roots) if roots else None
    if by_authority is False:
        report.fault("is not by an authority under the given roots", path=path)
    report.stamps.append(Stamp(size=size, time=time, by_authority=by_authority))


def _by_authority(response: TimeStampResponse, data: bytes, roots: Sequence[Certificate]) -> bool:
    try:
        return VerifierBuilder(roots=list(roots)).build().verify_message(response, data)
    except (VerificationError, ValueError):
        return False
