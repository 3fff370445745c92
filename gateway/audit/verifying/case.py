"""A case bundle: that its files are those that were signed, its records entries of the log, its range without a gap.

What was asked is not asked again here: the bundle's own `verify.py` does that, without anything of ours.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.audit import note
from gateway.audit.note import ED25519, Checkpoint, NoteInvalid, VerifierKey
from gateway.audit.verifying.entries import examined
from gateway.audit.verifying.findings import Report
from gateway.audit.verifying.heads import CHECKPOINT, Trust, newest
from gateway.audit.verifying.layout import HASH_BYTES
from gateway.audit.verifying.source import Source
from gateway.audit.verifying.stamps import listed, stamped
from gateway.audit.verifying.subtrees import Subtrees, consistent
from gateway.core import merkle

MANIFEST = "manifest.json"
MANIFEST_NOTE = "manifest.note"
FORMAT = "cdi-gateway/case/v1"
FILE_BYTES_MAX = 256 * 1024 * 1024
_PROOF = re.compile(r"c2sp\.org/tlog-proof@v1\nindex (0|[1-9][0-9]{0,18})\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n")


class _Wrong(Exception):
    """Something does not hold. The text says what, the path where."""

    def __init__(self, text: str, path: str, index: int | None = None) -> None:
        super().__init__(text)
        self.text, self.path, self.index = text, path, index


def is_case(source: Source) -> bool:
    return source.read(MANIFEST_NOTE, bytes_max=0) is not None


def verify_case(source: Source, trust: Trust) -> Report:
    """Raises OSError for what cannot be read."""
    report = Report()
    head = newest(source.read(CHECKPOINT, bytes_max=note.NOTE_BYTES_MAX), trust, report)
    if head is None:
        return report
    try:
        manifest = _manifest(source, head, trust.keys)
    except _Wrong as wrong:
        report.fault(wrong.text, path=wrong.path)
        return report
    case = _Case(source, head, manifest, report)
    for check in (case.check_files, case.check_records, case.check_range, case.check_stamps):
        try:
            check(trust)
        except _Wrong as wrong:
            report.fault(wrong.text, path=wrong.path, first=wrong.index)
        except (KeyError, TypeError, ValueError, AttributeError):
            report.fault("is not in the form of a case bundle", path=MANIFEST)
    report.remarks.append("whether the query left a record out is checked by the bundle's own verify.py")
    return report


def _manifest(source: Source, head: Checkpoint, keys: Sequence[VerifierKey]) -> dict[str, Any]:
    """The key signs bundles under a name of its own, so that no such signature can pass for one of a checkpoint."""
    data = _file(source, MANIFEST)
    name = f"{head.origin}/case"
    case_keys = [VerifierKey(name=name, type=ED25519, public=key.public) for key in keys if key.name == head.origin]
    try:
        signed = note.parse(_file(source, MANIFEST_NOTE))
        known = note.verify(signed, case_keys)
    except NoteInvalid as error:
        raise _Wrong(f"cannot be believed: {error}", MANIFEST_NOTE) from error
    if not known:
        raise _Wrong("is not signed by a given key of the log", MANIFEST_NOTE)
    if signed.text != f"{name}\n{MANIFEST} sha256 {hashlib.sha256(data).hexdigest()}\n":
        raise _Wrong("is not the one that was signed", MANIFEST)
    try:
        manifest = orjson.loads(data)
    except ValueError as error:
        raise _Wrong("is not JSON", MANIFEST) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or manifest.get("log") != head.origin:
        raise _Wrong("is of another log, or of a form that is not known here", MANIFEST)
    return manifest


@dataclass(frozen=True, slots=True)
class _Case:
    source: Source
    head: Checkpoint
    manifest: dict[str, Any]
    report: Report

    def check_files(self, trust: Trust) -> None:  # noqa: ARG002 - one form for all checks
        files = self.manifest["files"]
        names = set(self.source.names("") or ())
        for name in sorted(names - set(files) - {MANIFEST, MANIFEST_NOTE}):
            self.report.fault("does not belong to the bundle", path=name)
        for name, digest in sorted(files.items()):
            data = self.source.read(name, bytes_max=FILE_BYTES_MAX)
            if data is None:
                self.report.fault("is missing", path=name)
            elif hashlib.sha256(data).hexdigest() != digest:
                self.report.fault("is not the one that was signed", path=name)
        if self.manifest["checkpoint"] != {"size": self.head.size, "root": self.head.root.hex()}:
            raise _Wrong("is of another checkpoint", MANIFEST)

    def check_records(self, trust: Trust) -> None:  # noqa: ARG002
        """Each record is an entry of the log, at the index in its name."""
        indexes = self.manifest["records"]
        if len(set(indexes)) != len(indexes) or self.manifest["counts"]["matched"] != len(indexes):
            raise _Wrong("counts other records than it lists", MANIFEST)
        checkpoint = _file(self.source, CHECKPOINT)
        for index in indexes:
            path = f"records/{index}.json"
            entry = _file(self.source, path)
            proven, siblings, under = _proof(_file(self.source, f"proofs/{index}.tlog-proof"), index)
            if proven != index or under != checkpoint:
                self.report.fault("is of another entry or checkpoint", path=f"proofs/{index}.tlog-proof", first=index)
            elif not _leads_to_root(merkle.leaf_hash(entry), index, siblings, self.head):
                self.report.fault(f"is not entry {index} of the log", path=path, first=index)
            elif isinstance(fault := examined(entry), str):
                self.report.fault(f"entry {index} {fault}", path=path, first=index)
            else:
                self.report.entries += 1

    def check_range(self, trust: Trust) -> None:  # noqa: ARG002
        """All entries of the range that was searched are in the bundle, and with its edges they are the log."""
        first, end = self.manifest["range"]["first"], self.manifest["range"]["end"]
        if self.manifest["completeness"] == "stated":
            self.report.remarks.append(f"that entries {first} to {end - 1} hold no other match is stated, not shown")
            return
        tree = Subtrees()
        for level, node in self.manifest["edges"]["left"]:
            tree.push(level, base64.b64decode(node, validate=True))
        if tree.size != first:
            raise _Wrong("has a left edge that is not where the range begins", MANIFEST)
        seen = first
        for index, leaf, pruned in _leaves(_file(self.source, "range/entries"), first, end):
            tree.push(0, leaf)
            # A pruning takes the oldest, all of them. Without this, any entry could be hidden behind its hash.
            if pruned and seen != index:
                raise _Wrong(f"lacks entry {index}, though older ones are there", "range/entries", index)
            seen += pruned
        for level, node in self.manifest["edges"]["right"]:
            tree.push(level, base64.b64decode(node, validate=True))
        if (tree.size, tree.root()) != (self.head.size, self.head.root):
            raise _Wrong(f"does not hold entries {first} to {end - 1} of the log", "range/entries", first)
        if seen > first:
            self.report.remarks.append(
                f"entries {first} to {seen - 1} are stated to be pruned: only their hashes are there"
            )
        if end > seen:
            self.report.remarks.append(f"entries {seen} to {end - 1} are all in the bundle")

    def check_stamps(self, trust: Trust) -> None:
        for mark in stamped(self.source, listed(self.source), self.head, trust, self.report):
            path = f"timestamps/{mark.size}.consistency"
            proof = [base64.b64decode(line, validate=True) for line in _file(self.source, path).split()]
            if consistent(mark.size, mark.root, self.head.size, self.head.root, proof):
                self.report.consistent_with.append(mark.size)
            else:
                self.report.fault("is not how the log began", path=mark.name)


def _file(source: Source, path: str) -> bytes:
    data = source.read(path, bytes_max=FILE_BYTES_MAX)
    if data is None:
        raise _Wrong("is missing", path)
    if len(data) > FILE_BYTES_MAX:
        raise _Wrong("is larger than any file of a bundle", path)
    return data


def _proof(data: bytes, index: int) -> tuple[int, list[bytes], bytes]:
    head, separator, checkpoint = data.partition(b"\n\n")
    match = _PROOF.fullmatch((head + separator).decode("ascii", "replace"))
    if match is None:
        raise _Wrong("is no tlog-proof", f"proofs/{index}.tlog-proof", index)
    return int(match[1]), [base64.b64decode(line) for line in match[2].split()], checkpoint


def _leads_to_root(leaf: bytes, index: int, siblings: Sequence[bytes], head: Checkpoint) -> bool:
    try:
        return merkle.root_from_path(leaf, index, head.size, siblings) == head.root
    except ValueError:
        return False


def _leaves(data: bytes, first: int, end: int) -> Iterator[tuple[int, bytes, bool]]:
    """(index, leaf hash, pruned) of `range/entries`: 2 bytes of length and the entry; of a pruned one 0 and its leaf
    hash."""
    place = 0
    for index in range(first, end):
        length = int.from_bytes(data[place : place + 2], "big")
        start, stop = place + 2, place + 2 + (length or HASH_BYTES)
        if stop > len(data):
            raise _Wrong(f"ends before entry {index}", "range/entries", index)
        yield index, merkle.leaf_hash(data[start:stop]) if length else data[start:stop], not length
        place = stop
    if place != len(data):
        raise _Wrong("holds more than was searched", "range/entries", end)
