"""C2SP signed notes, checkpoints and cosignatures: Ed25519 lines under a text. Pure; keys are given.

https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-cosignature
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE_V1 = 0x04

NOTE_BYTES_MAX = 128 * 1024  # 16 signatures must fit, each of up to 5 kB (signed-note, Format)
SIGNATURES_MAX = 32
_SIZE_MAX = 2**63 - 1
_TIME_MAX = 2**63 - 1

_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteInvalid(ValueError):
    """The text is no signed note, no checkpoint, or its signature is wrong. Says which, never what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """Name, type and public key: what a vkey holds. `type` is ED25519 or COSIGNATURE_V1."""

    name: str
    type: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def __str__(self) -> str:
        """The vkey: `name+hash+key`."""
        return f"{self.name}+{self.key_id.hex()}+{_encode(bytes([self.type]) + self.public)}"


def verifier_key(vkey: str) -> VerifierKey:
    """Raises NoteInvalid."""
    name, _, rest = vkey.partition("+")
    hexadecimal, _, encoded = rest.partition("+")
    material = _decode(encoded)
    if not _is_name(name) or len(material) != 33 or material[0] not in {ED25519, COSIGNATURE_V1}:
        raise NoteInvalid("not an Ed25519 verifier key (name+hash+key)")
    key = VerifierKey(name=name, type=material[0], public=material[1:])
    if key.key_id.hex() != hexadecimal:
        raise NoteInvalid("the verifier key's hash is not that of its key")
    return key


class NoteSigner:
    """A log's own key (`type` ED25519), or a witness's (COSIGNATURE_V1)."""

    def __init__(self, name: str, key: Ed25519PrivateKey, *, type: int = ED25519) -> None:
        if not _is_name(name):
            raise NoteInvalid("a key name has no space and no plus sign")
        self.verifier = VerifierKey(name=name, type=type, public=key.public_key().public_bytes_raw())
        self._key = key

    def line(self, text: str, *, time: int | None = None) -> str:
        """The signature line under this note text. `time` (Unix seconds) is given for a cosignature, and only then."""
        if (time is None) is (self.verifier.type == COSIGNATURE_V1):
            raise ValueError("a cosignature has a time, and nothing else has")
        if time is None:
            return _line(self.verifier, self._key.sign(text.encode()))
        return _line(self.verifier, time.to_bytes(8, "big") + self._key.sign(_cosigned(text, time)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureLine:
    name: str
    key_id: bytes
    signature: bytes  # without the key id

    @property
    def text(self) -> str:
        return f"— {self.name} {_encode(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNote:
    """`text` ends with a newline. Nothing is verified yet."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(line.text for line in self.signatures)


def signed(text: str, lines: Iterable[str]) -> str:
    """The note with these signature lines."""
    return text + "\n" + "".join(lines)


def parse(data: bytes | str) -> SignedNote:
    """Raises NoteInvalid."""
    try:
        raw = data.encode() if isinstance(data, str) else data
        whole = raw.decode()
    except UnicodeError as error:
        raise NoteInvalid("signed note is not UTF-8") from error
    if len(raw) > NOTE_BYTES_MAX:
        raise NoteInvalid("signed note above the limit")
    if any(ord(character) < 0x20 and character != "\n" for character in whole):
        raise NoteInvalid("signed note holds a control character")
    head, separator, tail = whole.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise NoteInvalid("signed note has no signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteInvalid("signed note has too many signatures")
    return SignedNote(text=head + "\n", signatures=tuple(signature_line(line) for line in lines))


def signature_line(line: str) -> SignatureLine:
    """Without its newline. Raises NoteInvalid."""
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    material = _decode(encoded)
    if dash != "—" or not _is_name(name) or len(material) < 5:
        raise NoteInvalid("malformed signature line")
    return SignatureLine(name=name, key_id=material[:4], signature=material[4:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A signature that holds. `time`: Unix seconds of a cosignature, None for a plain one."""

    key: VerifierKey
    time: int | None


def verify(note: SignedNote, keys: Sequence[VerifierKey]) -> tuple[Verified, ...]:
    """The signatures by these keys, one for each; lines of other keys are ignored. Raises NoteInvalid when one by a
    known key is wrong (signed-note: such a note is rejected as a whole)."""
    found: dict[VerifierKey, Verified] = {}
    for line in note.signatures:
        for key in keys:
            if line.name != key.name or line.key_id != key.key_id:
                continue
            time = _check(note.text, line.signature, key)
            if key not in found or (found[key].time or 0) < (time or 0):  # of several cosignatures the newest
                found[key] = Verified(key=key, time=time)
    return tuple(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A tree head: the log's name, its size and its root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"


def checkpoint(text: str) -> Checkpoint:
    """From a note's text; extension lines are permitted and ignored. Raises NoteInvalid."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise NoteInvalid("a checkpoint has three lines or more")
    root = _decode(lines[2])
    if not _DECIMAL.fullmatch(lines[1]) or int(lines[1]) > _SIZE_MAX or len(root) != 32:
        raise NoteInvalid("malformed checkpoint")
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root)


def open_checkpoint(data: bytes | str, *, origin: str | None, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The tree head in a checkpoint that one of these keys of the log signed. `origin` None: any log's.

    Raises NoteInvalid.
    """
    note = parse(data)
    head = checkpoint(note.text)
    if origin is not None and head.origin != origin:
        raise NoteInvalid("the checkpoint is of another log")
    if not any(found.key.type == ED25519 and found.key.name == head.origin for found in verify(note, keys)):
        raise NoteInvalid("no signature by a known key of the log")
    return head


def _check(text: str, signature: bytes, key: VerifierKey) -> int | None:
    message, time = text.encode(), None
    if key.type == COSIGNATURE_V1:
        time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        if time > _TIME_MAX:
            raise NoteInvalid("cosignature of an impossible time")
        message = _cosigned(text, time)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise NoteInvalid("a signature by a known key is wrong") from error
    return time


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _line(key: VerifierKey, signature: bytes) -> str:
    return SignatureLine(name=key.name, key_id=key.key_id, signature=signature).text


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and not any("\ud800" <= character <= "\udfff" for character in name)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    """Standard base64, in its one canonical spelling. Raises NoteInvalid."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise NoteInvalid("malformed base64") from error
    if _encode(data) != text:
        raise NoteInvalid("malformed base64")
    return data
