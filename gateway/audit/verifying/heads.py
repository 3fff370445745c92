"""Signed tree heads: the newest, earlier ones that the log must have grown from, and those that were time-stamped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.x509 import Certificate

from gateway.audit import note
from gateway.audit.note import ED25519, Checkpoint, NoteInvalid, VerifierKey
from gateway.audit.verifying.findings import Report

CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """All that is believed: the log's keys, witnesses and how many of them must have cosigned, time-stamp roots."""

    keys: tuple[VerifierKey, ...]
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0
    timestamp_roots: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A checkpoint that somebody kept. `name` is what the report calls it."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A tree head that the log must pass through on its way."""

    name: str
    size: int
    root: bytes


def newest(data: bytes | None, trust: Trust, report: Report) -> Checkpoint | None:
    """The signed head. None, with the fault reported, when there is none to believe."""
    if data is None:
        report.fault("is missing: there is no published log here", path=CHECKPOINT)
        return None
    try:
        head = note.open_checkpoint(data, origin=None, keys=trust.keys)
        signatures = note.verify(note.parse(data), [*trust.keys, *trust.witnesses])
    except NoteInvalid as error:
        report.fault(f"cannot be believed: {error}{_hint(data, trust.keys)}", path=CHECKPOINT)
        return None
    witnesses = {found.key: found.time or 0 for found in signatures if found.key in trust.witnesses}
    report.signed_by = tuple(sorted({found.key.key_id.hex() for found in signatures if found.key in trust.keys}))
    report.witnesses = tuple((key.name, time) for key, time in witnesses.items())
    if len(witnesses) < trust.quorum:
        report.fault(f"has cosignatures of {len(witnesses)} given witnesses, not of {trust.quorum}", path=CHECKPOINT)
    report.origin, report.size, report.root = head.origin, head.size, head.root
    return head


def marks(earlier: Sequence[Earlier], head: Checkpoint, keys: Sequence[VerifierKey], report: Report) -> list[Mark]:
    """What these checkpoints demand of the log; those that demand what cannot be are reported at once."""
    found = []
    for kept in earlier:
        try:
            old = note.open_checkpoint(kept.data, origin=head.origin, keys=keys)
        except NoteInvalid as error:
            report.fault(f"cannot be believed: {error}{_hint(kept.data, keys)}", path=kept.name)
            continue
        if fits(kept.name, old, head, report):
            found.append(Mark(name=kept.name, size=old.size, root=old.root))
    return found


def fits(name: str, old: Checkpoint, head: Checkpoint, report: Report) -> bool:
    """Whether the head can have grown from the older one at all. Reported if not."""
    if old.size <= head.size:
        return True
    text = f"has {old.size} entries, and the log's checkpoint only {head.size}: entries were taken back"
    report.fault(text, path=name, first=head.size)
    return False


def _hint(data: bytes, keys: Sequence[VerifierKey]) -> str:
    """Which key would be needed, where the note names one of the log itself."""
    try:
        found = note.parse(data)
        origin = note.checkpoint(found.text).origin
    except NoteInvalid:
        return ""
    if origin not in {key.name for key in keys if key.type == ED25519}:
        return f" (it is of {origin}, and no key of that name was given)"
    ids = sorted({line.key_id.hex() for line in found.signatures if line.name == origin})
    return f" (signed by key {', '.join(ids)}; given: {', '.join(key.key_id.hex() for key in keys)})"
