#!/usr/bin/env python3
"""Checks a case bundle of an audit log:  python3 verify.py [--key VKEY] [BUNDLE]

Needs Python 3.8 or newer and nothing else: one file on purpose, with its own Ed25519, notes and tree, so that who was
given a bundle needs neither the software that made it nor trust in it. It reads; it writes and fetches nothing.
Exit code 0: everything holds. 1: something does not, and is named. 2: there is nothing that could be checked.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

FORMAT = "cdi-gateway/case/v1"
NOTE_NAMES = ("manifest.json", "manifest.note")  # covered by the signature, and the signature itself
FILE_BYTES_MAX = 256 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
PROBLEMS_MAX = 50

ED25519, COSIGNATURE = 1, 4
UNREADABLE = (OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)
INDEX = re.compile(r"0|[1-9][0-9]{0,18}")


class Wrong(Exception):
    """Something does not hold. The text names it."""


# --- Ed25519 (RFC 8032 §5.1), verification only ---------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Points in extended coordinates: X, Y, Z, T."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(scalar: int, point: tuple[int, ...]) -> tuple[int, ...]:
    total: tuple[int, ...] = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def decompressed(data: bytes) -> tuple[int, ...] | None:
    """The point of 32 bytes (§5.1.3); None when they are no point."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = decompressed(BASE_Y.to_bytes(32, "little")) or (0, 1, 1, 0)


def ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` is by the holder of `public` (32 bytes)."""
    key, commitment = decompressed(public), decompressed(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or len(signature) != 64 or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    left, right = times(scalar, BASE), add(commitment, times(challenge, key))
    return not (left[0] * right[2] - right[0] * left[2]) % P and not (left[1] * right[2] - right[1] * left[2]) % P


# --- signed notes and keys (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature) --------------------------------


def unbase64(text: str) -> bytes:
    """Standard base64 in its one spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise Wrong("malformed base64") from None
    if base64.b64encode(data).decode() != text:
        raise Wrong("malformed base64")
    return data


class Key:
    """A verifier key: name, type and public key."""

    def __init__(self, name: str, kind: int, public: bytes) -> None:
        self.name, self.kind, self.public = name, kind, public
        self.id = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]

    @classmethod
    def parse(cls, vkey: str) -> Key:
        name, _, rest = vkey.strip().partition("+")
        hexadecimal, _, encoded = rest.partition("+")
        material = unbase64(encoded)
        if not name or len(material) != 33 or material[0] not in (ED25519, COSIGNATURE):
            raise Wrong("not a verifier key (name+hash+key)")
        key = cls(name, material[0], material[1:])
        if key.id.hex() != hexadecimal:
            raise Wrong("the verifier key was copied wrong: its hash is not that of its key")
        return key

    def fingerprint(self) -> str:
        digits = hashlib.sha256(self.public).hexdigest()
        return ":".join(digits[place : place + 4] for place in range(0, 64, 4))


class Note:
    """Text and signature lines of a signed note. `signed_by` says whose signatures hold."""

    def __init__(self, data: bytes, what: str) -> None:
        self.what = what
        head, separator, tail = data.rpartition(b"\n\n")
        if not separator or not tail.endswith(b"\n"):
            raise Wrong(f"{what} is not a signed note")
        try:
            self.text = head.decode("utf-8") + "\n"
            lines = tail[:-1].decode("utf-8").split("\n")
        except UnicodeDecodeError:
            raise Wrong(f"{what} is not a signed note") from None
        self.lines: list[tuple[str, bytes, bytes]] = []
        for line in lines:
            words = line.split(" ")
            material = unbase64(words[2]) if len(words) == 3 else b""
            if len(material) < 5 or words[0] != "\u2014":
                raise Wrong(f"{what} has a malformed signature line")
            self.lines.append((words[1], material[:4], material[4:]))

    def signed_by(self, keys: list[Key]) -> list[tuple[Key, int]]:
        """Keys, each with the Unix time of a cosignature, else 0. One wrong signature spoils the whole note."""
        return [
            (key, self._time(key, signature))
            for name, key_id, signature in self.lines
            for key in keys
            if (name, key_id) == (key.name, key.id)
        ]

    def _time(self, key: Key, signature: bytes) -> int:
        message, time = self.text.encode(), 0
        if key.kind == COSIGNATURE:
            time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = f"cosignature/v1\ntime {time}\n{self.text}".encode()
        if not ed25519(key.public, message, signature):
            raise Wrong(f"{self.what}: the signature of {key.name} is wrong")
        return time


class Checkpoint(Note):
    """A tree head: origin, size and root."""

    def __init__(self, data: bytes, what: str) -> None:
        super().__init__(data, what)
        lines = self.text.split("\n")
        if len(lines) < 4 or not INDEX.fullmatch(lines[1]):
            raise Wrong(f"{what} is not a checkpoint")
        self.origin, self.size, self.root = lines[0], int(lines[1]), unbase64(lines[2])


# --- the tree (RFC 6962 §2.1, RFC 9162 §2.1.3 and §2.1.4) -----------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_from_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to; None when the proof has a wrong length."""
    if not 0 <= index < size:
        return None
    node, last = index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            leaf = node_hash(sibling, leaf)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        node, last = node >> 1, last >> 1
    return None if last else leaf


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: list[bytes]) -> bool:
    """Whether the tree of `new` leaves begins with that of `old`."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    path = path if old & (old - 1) else [old_root, *path]
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not path:
        return False
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


class Tree:
    """A tree put together from the left, of complete subtrees: each stands where the ones before it end."""

    def __init__(self) -> None:
        self.size = 0
        self.stack: list[tuple[int, bytes]] = []

    def push(self, level: int, node: bytes) -> None:
        if self.size & (1 << level) - 1:
            raise Wrong("range: a subtree stands where none can")
        self.size += 1 << level
        while self.stack and self.stack[-1][0] == level:
            node = node_hash(self.stack.pop()[1], node)
            level += 1
        self.stack.append((level, node))

    def root(self) -> bytes:
        node: bytes | None = None
        for _, left in reversed(self.stack):
            node = left if node is None else node_hash(left, node)
        return hashlib.sha256(b"").digest() if node is None else node


# --- the bundle's files ---------------------------------------------------------------------------------------------


class Bundle:
    """The files of an unzipped folder, or of the zip itself."""

    def __init__(self, path: Path) -> None:
        self.zip = None if path.is_dir() else zipfile.ZipFile(path)
        self.path = path
        if self.zip is not None:
            found = [info.filename for info in self.zip.infolist() if not info.filename.endswith("/")]
        else:
            # Names with a dot are what file managers leave behind.
            files = (file for file in path.rglob("*") if not file.is_dir() and not file.name.startswith("."))
            found = [file.relative_to(path).as_posix() for file in files]
        self.names = set(found)
        if len(self.names) != len(found):
            raise Wrong("the zip holds two files of one name")

    def open(self, name: str) -> IO[bytes]:
        if name not in self.names:
            raise Wrong(f"{name} is missing")
        return (self.path / name).open("rb") if self.zip is None else self.zip.open(name)

    def read(self, name: str) -> bytes:
        with self.open(name) as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise Wrong(f"{name} is larger than any file of a bundle")
        return data

    def text(self, name: str) -> str:
        try:
            return self.read(name).decode("utf-8")
        except UnicodeDecodeError:
            raise Wrong(f"{name} is not text") from None

    def json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads(self.text(name))
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Wrong(f"{name} is not a JSON object")
        return value

    def sha256(self, name: str) -> str:
        digest = hashlib.sha256()
        with self.open(name) as stream:
            for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
                digest.update(chunk)
        return digest.hexdigest()


class Case:
    """One check of one bundle: each method proves one thing, in the order in which trust is built."""

    def __init__(self, bundle: Bundle, log_keys: list[Key], witness_keys: list[Key]) -> None:
        self.bundle, self.log_keys, self.witness_keys = bundle, log_keys, witness_keys
        self.proven: list[str] = []
        self.said: list[str] = []
        self.problems: list[str] = []
        self.manifest: dict[str, Any] = {}
        self.leaves: dict[int, bytes] = {}

    def run(self) -> None:
        """Stops where all that follows hangs on what does not hold."""
        if self._tried("manifest", self.check_manifest) and self._tried("checkpoint", self.check_checkpoint):
            self._tried("files", self.check_files)
            self._tried("records", self.check_records)
            self._tried("opened", self.check_opened)
            self._tried("completeness", self.check_completeness)
            self._tried("timestamps", self.check_timestamps)
        if self.problems:
            self.proven = []  # some of it may hold; nobody should have to tell which

    def _tried(self, what: str, check: Callable[[], None]) -> bool:
        try:
            check()
        except Wrong as error:
            self.problems.append(str(error))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            self.problems.append(f"{what}: not in the form of a case bundle")
        except UNREADABLE as error:
            self.problems.append(f"{what}: a file cannot be read ({type(error).__name__})")
        else:
            return True
        return False

    def check_manifest(self) -> None:
        note = Note(self.bundle.read("manifest.note"), "manifest.note")
        # The key signs bundles under a name of its own, so that no such signature can pass for one of a checkpoint.
        keys = [Key(key.name + "/case", ED25519, key.public) for key in self.log_keys]
        if not note.signed_by(keys):
            raise Wrong("manifest.note is not signed by the log's key")
        origin = self.log_keys[0].name
        if note.text != f"{origin}/case\nmanifest.json sha256 {self.bundle.sha256('manifest.json')}\n":
            raise Wrong("manifest.json is not the one that was signed")
        manifest = self.bundle.json("manifest.json")
        if manifest.get("format") != FORMAT or manifest.get("log") != origin:
            raise Wrong("manifest.json is of another log, or of a newer format than this verify.py")
        self.manifest = manifest

    def check_files(self) -> None:
        files = self.manifest["files"]
        for name in sorted(self.bundle.names - set(files) - set(NOTE_NAMES)):
            self.problems.append(f"{name} does not belong to the bundle: it was added")
        for name in sorted(files):
            if name not in self.bundle.names:
                self.problems.append(f"{name} was removed")
            elif self.bundle.sha256(name) != files[name]:
                self.problems.append(f"{name} was changed")
        self.proven.append(f"The manifest is signed by the key of the log; all {len(files)} files are as it says.")

    def check_checkpoint(self) -> None:
        found = Checkpoint(self.bundle.read("checkpoint"), "checkpoint")
        stated = self.manifest["checkpoint"]
        if found.origin != self.manifest["log"]:
            raise Wrong("checkpoint is of another log")
        if (found.size, found.root.hex()) != (stated["size"], stated["root"]):
            raise Wrong("checkpoint is not the one that the manifest names")
        if not found.signed_by(self.log_keys):
            raise Wrong("checkpoint is not signed by the log's key")
        cosigned = {key.name: time for key, time in found.signed_by(self.witness_keys)}
        self.checkpoint = found
        self.proven.append(f"The checkpoint is signed by the key of the log: {found.size} entries.")
        for name, time in sorted(cosigned.items()):
            self.proven.append(f"Witness {name} cosigned this checkpoint at {utc(time)}: it saw the log only grow.")
        if not cosigned:
            self.said.append("No witness that is known here cosigned the checkpoint.")

    def check_records(self) -> None:
        """Each record, by its own bytes and proof, is an entry of the tree of the checkpoint."""
        wanted, note = self.manifest["records"], self.bundle.read("checkpoint")
        for index in wanted:
            entry = self.bundle.read(f"records/{index}.json")
            path, proven_index = proof(self.bundle.read(f"proofs/{index}.tlog-proof"), note, index)
            leaf = leaf_hash(entry)
            if proven_index != index or root_from_path(leaf, index, self.checkpoint.size, path) != self.checkpoint.root:
                self.problems.append(f"records/{index}.json is not entry {index} of the log")
            self.leaves[index] = leaf
        present = {name for name in self.bundle.names if name.startswith("records/")}
        if present != {f"records/{index}.json" for index in wanted} or len(set(wanted)) != len(wanted):
            raise Wrong("the records are not those that the manifest lists")
        if len(wanted) != self.manifest["counts"]["matched"]:
            raise Wrong("the manifest counts other records than it lists")
        self.proven.append(f"{len(wanted)} record(s) are entries of the log, unchanged, each at the index in its name.")

    def check_opened(self) -> None:
        """What is shown in `opened/` agrees with the records in all that a record says in public."""
        for index in self.manifest["records"]:
            record = self.bundle.json(f"records/{index}.json")
            shown = self.bundle.json(f"opened/{index}.json")["entry"]
            sealed = record.pop("sealed", None)
            if sealed is None and shown != record:
                self.problems.append(f"opened/{index}.json does not show record {index}")
            elif sealed is not None and not (shows(shown, record) and shows(record, public(shown))):
                self.problems.append(f"opened/{index}.json contradicts record {index}")
        self.said.append(
            "The private fields in opened/ (digests, evidence) are as the keeper of the log decrypted them. The log "
            "covers their ciphertexts; it cannot show to others what those hold."
        )
        self.said.append("records.csv is a table by the keeper, for reading. It was not compared with the records.")

    def check_completeness(self) -> None:
        stated = self.manifest["range"]
        first, end = stated["first"], stated["end"]
        if not 0 <= first <= end <= self.checkpoint.size:
            raise Wrong("the range that was searched is not one of this log")
        if not all(first <= index < end for index in self.manifest["records"]):
            raise Wrong("a record lies outside the range that was searched")
        where = f"entries {first} to {end - 1}" if end > first else "no entry"
        query = Query(self.manifest["query"])
        if query.normal() != self.manifest["query"]["text"]:
            raise Wrong("the manifest shows another query than the one that it describes")
        for index in self.manifest["records"]:
            if query.verdict(index, self.bundle.json(f"records/{index}.json")) is False:
                self.problems.append(f"record {index} does not match the query")
        if self.manifest["completeness"] == "stated":
            self.said.append(
                f"The keeper states, signed: {where} were searched, and no other of them matches: {query.text}"
            )
            return
        seen = self._rerun(query, first, end)
        by = "by their public fields " if query.private else ""
        where = f"entries {seen} to {end - 1}" if end > seen else "no entry"
        self.proven.append(f"Complete: {where} were all searched here again {by}for: {query.text}")

    def _rerun(self, query: Query, first: int, end: int) -> int:
        """Every entry of the range is in the bundle; what the query asks of their public fields is asked again.
        The index of the first entry that could be asked: those before it are there by their hashes alone."""
        tree, unknown, seen = Tree(), 0, first
        for level, node in self.manifest["edges"]["left"]:
            tree.push(level, unbase64(node))
        if tree.size != first:
            raise Wrong("range: its left edge is not where the range begins")
        wanted = set(self.manifest["records"])
        for index, entry, leaf in ranged(self.bundle, first, end):
            tree.push(0, leaf)
            if index in wanted and self.leaves.get(index) != leaf:
                self.problems.append(f"range: entry {index} is not the one in records/")
            if entry is None:
                # A pruning takes the oldest, all of them. Without this, any entry could be hidden behind its hash.
                if seen != index:
                    raise Wrong(f"range: entry {index} is missing, though older ones are there: that is no pruning")
                seen = index + 1
            elif index not in wanted:
                verdict = query.verdict(index, json.loads(entry))
                if verdict:
                    self.problems.append(f"entry {index} matches the query and is not among the records")
                unknown += verdict is None
        for level, node in self.manifest["edges"]["right"]:
            tree.push(level, unbase64(node))
        if tree.size != self.checkpoint.size or tree.root() != self.checkpoint.root:
            raise Wrong("range/entries are not the entries of the log")
        if query.private:
            self.said.append(
                "The query asks for a private field (digest), which only the keeper can look up: that the "
                f"{len(wanted)} record(s) have it, and {unknown} more entries have not, rests on the keeper's word."
            )
        if seen > first:
            self.said.append(
                f"Of entries {first} to {seen - 1} there are only the hashes: the keeper states that they were pruned, "
                "and nobody can see here what they held. The log has a record of each pruning (audit.pruned)."
            )
        return seen

    def check_timestamps(self) -> None:
        last = max(self.manifest["records"], default=None)
        for size in self.manifest["timestamps"]:
            data = self.bundle.read(f"timestamps/{size}.checkpoint")
            stamped = Checkpoint(data, f"timestamps/{size}.checkpoint")
            path = [unbase64(line) for line in self.bundle.text(f"timestamps/{size}.consistency").split()]
            if stamped.origin != self.checkpoint.origin or stamped.size != size:
                raise Wrong(f"timestamps/{size}.checkpoint is of another tree")
            stamped.signed_by(self.log_keys)  # by an earlier key perhaps, which is not known here; never wrongly
            if not consistent(size, stamped.root, self.checkpoint.size, self.checkpoint.root, path):
                raise Wrong(f"timestamps/{size}.checkpoint is not an earlier state of this log")
            imprint, moment = timestamp(self.bundle.read(f"timestamps/{size}.tsr"))
            if imprint != hashlib.sha256(data).digest():
                raise Wrong(f"timestamps/{size}.tsr is a time-stamp of something else")
            covered = "all records" if last is not None and last < size else f"the records below index {size}"
            self.said.append(
                f"A time-stamp says that {covered} were in this log by {moment}. Its signature is not checked here, "
                f"but by: openssl ts -verify -in timestamps/{size}.tsr "
                f"-data timestamps/{size}.checkpoint -CAfile AUTHORITY.pem"
            )
        if not self.manifest["timestamps"]:
            self.said.append("No time-stamp: when the records were written rests on the clock of the keeper.")


# --- formats inside the bundle --------------------------------------------------------------------------------------


def proof(data: bytes, note: bytes, index: int) -> tuple[list[bytes], int]:
    """(path, index) of a c2sp.org/tlog-proof@v1 that ends in the bundle's own checkpoint."""
    head, separator, checkpoint = data.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    if not separator or lines[0] != "c2sp.org/tlog-proof@v1" or len(lines) < 2 or not lines[1].startswith("index "):
        raise Wrong(f"proofs/{index}.tlog-proof is not a tlog-proof")
    if checkpoint != note:
        raise Wrong(f"proofs/{index}.tlog-proof is under another checkpoint")
    if not INDEX.fullmatch(lines[1][6:]):
        raise Wrong(f"proofs/{index}.tlog-proof is malformed")
    return [unbase64(line) for line in lines[2:]], int(lines[1][6:])


def ranged(bundle: Bundle, first: int, end: int) -> Iterator[tuple[int, bytes | None, bytes]]:
    """(index, entry, leaf hash) of `range/entries`: 2 bytes of length and the entry; 0 and the hash when pruned."""
    with bundle.open("range/entries") as stream:
        for index in range(first, end):
            length = int.from_bytes(exactly(stream, 2), "big")
            if length:
                entry = exactly(stream, length)
                yield index, entry, leaf_hash(entry)
            else:
                yield index, None, exactly(stream, 32)
        if stream.read(1):
            raise Wrong("range/entries holds more entries than were searched")


def exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise Wrong("range/entries is cut short")
    return data


def shows(shown: Any, record: Any) -> bool:
    """Whether everything of the record is in what is shown."""
    if isinstance(record, dict):
        return isinstance(shown, dict) and all(name in shown and shows(shown[name], record[name]) for name in record)
    return bool(shown == record)


def public(shown: Any) -> Any:
    """What is shown, without what a record seals."""
    found = {name: value for name, value in shown.items() if name not in ("sealed", "evidence")}
    if isinstance(found.get("document"), dict):
        document = found["document"].items()
        found["document"] = {name: value for name, value in document if name not in ("digest", "digests")}
    return found


class Query:
    """The query of the manifest, as far as public fields answer it."""

    PLACES: ClassVar = {
        "actor": ("actor", "participant"),
        "client": ("actor", "client"),
        "consent": ("consent", "id"),
        "request": ("request",),
        "record": ("id",),
        "subject": ("subject",),
        "outcome": ("outcome",),
        "type": ("type",),
    }

    def __init__(self, stated: dict[str, Any]) -> None:
        self.text = stated["text"] or "(every entry)"
        self.terms = stated["terms"]
        self.private = any(term["qualifier"] not in self.PLACES for term in self.terms)
        self.since, self.until = stated["since"], stated["until"]
        self.first, self.last = stated["first"], stated["last"]

    def normal(self) -> str:
        """Its text, made of what is asked: what is shown to people must be what was searched for."""
        words = []
        for term in self.terms:
            sign, kind = "-" if term["negated"] else "", "keyed:" if term["qualifier"] == "digest" else ""
            words += [f"{sign}{term['qualifier']}:{kind}{value}" for value in term["values"]]
        for name, moment in (("from", self.since), ("to", self.until)):
            if moment is not None:
                words.append(f"{name}:{moment.replace('.000000Z', 'Z')}")
        if self.first is not None or self.last is not None:
            first, last = ("" if bound is None else str(bound) for bound in (self.first, self.last))
            words.append(f"index:{first}..{last}")
        return " ".join(words)

    def verdict(self, index: int, entry: dict[str, Any]) -> bool | None:
        """True: matches. False: does not. None: that depends on a field that is sealed."""
        if (self.first is not None and index < self.first) or (self.last is not None and index > self.last):
            return False
        if (self.since is not None and entry["time"] < self.since) or (
            self.until is not None and entry["time"] >= self.until
        ):
            return False
        verdict: bool | None = True
        for term in self.terms:
            place = self.PLACES.get(term["qualifier"])
            if place is not None:
                found = field(entry, place)
                if any(has(found, value) for value in term["values"]) is term["negated"]:
                    return False
            elif "sealed" in entry:
                verdict = None
            elif not term["negated"]:
                return False
        return verdict


def field(entry: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        entry = entry.get(name) if isinstance(entry, dict) else None
    return entry


def has(found: Any, value: str) -> bool:
    """Only a value of `type:` can end in `.*`."""
    if isinstance(found, str) and value.endswith(".*"):
        return found.partition(".")[0] == value[:-2]
    return bool(found == value)


def timestamp(response: bytes) -> tuple[bytes, str]:
    """(SHA-256 imprint, time) of an RFC 3161 response. Its signature is not checked here."""
    try:
        status, token = parts(parts(response)[0][1])[:2]
        if parts(status[1])[0][1] not in (b"\x00", b"\x01"):  # granted, grantedWithMods
            raise Wrong("a time-stamp was refused by its authority")
        signed_data = parts(parts(token[1])[1][1])[0][1]
        content = parts(parts(signed_data)[2][1])[1][1]
        info = parts(parts(parts(content)[0][1])[0][1])
        algorithm, imprint = parts(info[2][1])
        if parts(algorithm[1])[0][1] != bytes.fromhex("608648016503040201"):  # id-sha256
            raise Wrong("a time-stamp is not over a SHA-256")
        moment = next(value.decode("ascii") for tag, value in info[3:] if tag == 0x18)
    except (IndexError, ValueError, StopIteration):
        raise Wrong("a time-stamp is not an RFC 3161 response") from None
    written = "-".join((moment[:4], moment[4:6], moment[6:8])), ":".join((moment[8:10], moment[10:12], moment[12:]))
    return imprint[1], "T".join(written)


def parts(data: bytes) -> list[tuple[int, bytes]]:
    """[(tag, value)] of DER values in a row."""
    found, place = [], 0
    while place < len(data):
        tag, length, place = data[place], data[place + 1], place + 2
        if length & 0x80:
            count = length & 0x7F
            length, place = int.from_bytes(data[place : place + count], "big"), place + count
        if place + length > len(data):
            raise ValueError("cut short")
        found.append((tag, data[place : place + length]))
        place += length
    return found


def utc(seconds: int) -> str:
    """RFC 3339 of a Unix time, without asking the machine for its zone."""
    days, rest = divmod(seconds, 86_400)
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    month = month + 3 if month < 10 else month - 9
    year += 400 * era + (month <= 2)
    return f"{year:04}-{month:02}-{day:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


# --- the command ----------------------------------------------------------------------------------------------------


def keys_of(bundle: Bundle, options: argparse.Namespace) -> tuple[list[Key], list[Key]]:
    """(log keys, witness keys). From the command line; from the bundle itself only with a warning."""
    logs = [Key.parse(vkey) for vkey in options.key]
    witnesses = [Key.parse(vkey) for vkey in options.witness]
    listed = [line.split(" ", 1) for line in bundle.text("vkeys.txt").splitlines() if line and not line.startswith("#")]
    if not logs:
        say("WARNING: the key of the log is taken from the bundle itself. Whoever forged the bundle would put their")
        say("own there. Compare this fingerprint with one that you were given elsewhere, or use --key:")
        logs = [Key.parse(vkey) for kind, vkey in listed if kind == "log"]
        for key in logs:
            say(f"  {key.name}  {key.fingerprint()}")
        say("")
    if not witnesses:
        witnesses = [Key.parse(vkey) for kind, vkey in listed if kind == "witness"]
        if witnesses:
            say("NOTE: the keys of the witnesses are taken from the bundle itself, too; --witness gives your own.")
            say("")
    if not logs or any(key.kind != ED25519 or key.name != logs[0].name for key in logs):
        raise Wrong("no key of one log: give it with --key")
    return logs, [key for key in witnesses if key.kind == COSIGNATURE]


def report(case: Case) -> None:
    manifest = case.manifest
    if manifest:
        counts = manifest["counts"]
        made = manifest["made"]
        say(f"Case bundle of the log {manifest['log']}")
        say(f"made {made['time']} by {made['operator']} for {made['participant']}")
        say(f"query: {Query(manifest['query']).text}")
        say(f"{counts['matched']} record(s) matched; of {counts['erased']} the private fields were erased")
        say("")
    for title, lines, mark in (("PROVEN", case.proven, "ok"), ("SAID, NOT PROVEN HERE", case.said, "--")):
        if lines:
            say(title)
            for line in lines:
                say(f"  [{mark}] {line}")
            say("")
    if case.problems:
        say("WRONG")
        for line in case.problems[:PROBLEMS_MAX]:
            say(f"  [!!] {line}")
        if len(case.problems) > PROBLEMS_MAX:
            say(f"  [!!] and {len(case.problems) - PROBLEMS_MAX} more")
        say("")
        say("Do not rely on this bundle.")
    else:
        say("Everything that was checked holds, if the key is that of the log.")


def say(line: str) -> None:
    # In printable ASCII, whatever a name holds: it must not fail on any console, nor steer it.
    sys.stdout.write("".join(sign if " " <= sign <= "~" else "?" for sign in line) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Checks a case bundle of an audit log, offline.")
    parser.add_argument(
        "bundle", nargs="?", type=Path, help="the zip, or the unzipped folder (default: where verify.py is)"
    )
    parser.add_argument("--key", action="append", default=[], metavar="VKEY", help="verifier key of the log")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY", help="verifier key of a witness")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    path = options.bundle or Path(__file__).resolve().parent
    try:
        bundle = Bundle(path)
        case = Case(bundle, *keys_of(bundle, options))
    except (Wrong, ValueError, *UNREADABLE) as error:
        say("WRONG")
        say(f"  [!!] {error if isinstance(error, Wrong) else 'not a case bundle'}: nothing can be checked")
        return 1 if path.exists() else 2
    case.run()
    report(case)
    return 1 if case.problems else 0


if __name__ == "__main__":
    sys.exit(main())
