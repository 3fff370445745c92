"""What a log and a witness say to each other: `add-checkpoint` requests and their answers, as bytes. Pure.

https://c2sp.org/tlog-witness
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.audit.note import (
    COSIGNATURE_V1,
    SIGNATURES_MAX,
    NoteInvalid,
    SignedNote,
    VerifierKey,
    signature_line,
    verify,
)
from gateway.audit.tree import HASH_BYTES

PATH = "add-checkpoint"  # below the witness's submission prefix
SIZE_TYPE = "text/x.tlog.size"  # Content-Type of a 409 that tells the witness's size
PROOF_LINES_MAX = 63

_OLD = re.compile(rb"old (0|[1-9][0-9]{0,18})")
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class RequestInvalid(ValueError):
    """The bytes are no `add-checkpoint` request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """`old`: the size of the checkpoint that the witness cosigned last. `proof`: from there to the one in `note`."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def render(old: int, proof: Sequence[bytes], note: str) -> bytes:
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof), "", note]
    return "\n".join(lines).encode()


def parse(data: bytes) -> AddCheckpoint:
    """The note in it is not looked at. Raises RequestInvalid."""
    head, separator, note = data.partition(b"\n\n")
    first, *lines = head.split(b"\n", PROOF_LINES_MAX + 1)
    old = _OLD.fullmatch(first)
    if not separator or not old:
        raise RequestInvalid("a request is an old size line, proof lines, an empty line and a checkpoint")
    if len(lines) > PROOF_LINES_MAX:
        raise RequestInvalid("too many proof lines")
    return AddCheckpoint(old=int(old[1]), proof=tuple(_hash(line) for line in lines), note=note)


def witness_size(body: bytes) -> int | None:
    """The size that a 409 tells; None when the body tells none."""
    size = _SIZE.fullmatch(body)
    return int(size[1]) if size else None


def cosignature(text: str, answer: bytes, key: VerifierKey) -> tuple[str, int]:
    """The newest cosignature line by this key in a witness's answer over the note text, and its time.

    Lines of other keys are left out. Raises NoteInvalid when there is none, or one that is wrong.
    """
    if key.type != COSIGNATURE_V1:
        raise NoteInvalid("a witness has a cosignature/v1 key")
    try:
        lines = answer.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise NoteInvalid("the answer is not UTF-8") from error
    if lines[-1] or len(lines) - 1 > SIGNATURES_MAX:
        raise NoteInvalid("the answer is not a sequence of signature lines")
    signatures = [signature_line(line) for line in lines[:-1]]
    found = [
        (one, verified.time or 0)
        for one in signatures
        for verified in verify(SignedNote(text=text, signatures=(one,)), [key])
    ]
    if not found:
        raise NoteInvalid("no cosignature by the witness's key")
    newest, time = max(found, key=lambda item: item[1])
    return newest.text, time


def _hash(line: bytes) -> bytes:
    try:
        decoded = base64.b64decode(line, validate=True)
    except ValueError as error:
        raise RequestInvalid("a proof line is not base64") from error
    if len(decoded) != HASH_BYTES or base64.b64encode(decoded) != line:
        raise RequestInvalid("a proof line is not one hash")
    return decoded
