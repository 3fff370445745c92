"""c2sp.org/tlog-proof@v1: one entry's place in the log, verifiable offline. Pure.

https://c2sp.org/tlog-proof
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.audit import note
from gateway.audit.note import Checkpoint, NoteInvalid, VerifierKey
from gateway.core.merkle import root_from_path

MEDIA_TYPE = "text/plain; charset=utf-8"
_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_HASHES_MAX = 63


class ProofInvalid(ValueError):
    """The text is no proof, or it does not prove this entry. Says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """`path`: RFC 6962 §2.1.1, lowest sibling first. `checkpoint`: the signed note, verbatim."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def __str__(self) -> str:
        hashes = "".join(base64.b64encode(sibling).decode() + "\n" for sibling in self.path)
        return f"{_HEADER}\nindex {self.index}\n{hashes}\n{self.checkpoint}"


def parse(text: str) -> InclusionProof:
    """Raises ProofInvalid. `extra` data, which nothing authenticates, is dropped."""
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != _HEADER:
        raise ProofInvalid("not a tlog-proof")
    if len(lines) > 1 and lines[1].startswith("extra "):
        _decoded(lines.pop(1).removeprefix("extra "))
    index = _INDEX.fullmatch(lines[1]) if len(lines) > 1 else None
    if index is None or len(lines) - 2 > _HASHES_MAX:
        raise ProofInvalid("malformed tlog-proof")
    return InclusionProof(index=int(index[1]), path=tuple(_hash(line) for line in lines[2:]), checkpoint=checkpoint)


def verify(proof: InclusionProof, leaf_hash: bytes, *, origin: str | None, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The tree head that holds the entry at the proof's index. Raises ProofInvalid."""
    try:
        head = note.open_checkpoint(proof.checkpoint, origin=origin, keys=keys)
        root = root_from_path(leaf_hash, proof.index, head.size, proof.path)
    except (NoteInvalid, ValueError) as error:
        raise ProofInvalid(str(error)) from error
    if root != head.root:
        raise ProofInvalid("the entry is not at this index of the log")
    return head


def leads(text: str, index: int, leaf_hash: bytes) -> bool:
    """Whether the proof leads from this leaf at this index to the root that its checkpoint states. Who signed the
    checkpoint is not looked at: for those who made it, or read it where they may believe it."""
    try:
        proof = parse(text)
        head = note.checkpoint(note.parse(proof.checkpoint).text)
        return proof.index == index and root_from_path(leaf_hash, index, head.size, proof.path) == head.root
    except ValueError:  # NoteInvalid and ProofInvalid are
        return False


def _hash(line: str) -> bytes:
    data = _decoded(line)
    if len(data) != 32:
        raise ProofInvalid("malformed hash")
    return data


def _decoded(text: str) -> bytes:
    """Standard base64, in its one canonical spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ProofInvalid("malformed base64") from error
    if base64.b64encode(data).decode() != text:
        raise ProofInvalid("malformed base64")
    return data
