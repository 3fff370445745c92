"""Signed notes, checkpoints and cosignatures: published examples, and every malformation refused by one error."""

from __future__ import annotations

import pytest

from gateway.audit import note
from gateway.audit.note import (
    COSIGNATURE_V1,
    ED25519,
    NOTE_BYTES_MAX,
    SIGNATURES_MAX,
    Checkpoint,
    NoteInvalid,
    SignatureLine,
)
from tests.fakes_profiles import vectors
from tests.published_log import COSIGNED_AT, ORIGIN, WITNESS, checkpoint, entries_of, log_signer, witness_signer

NOTES = dict(vectors("audit/note"))
KEYS = dict(vectors("audit/vkey"))
KEY = log_signer().verifier


@pytest.mark.parametrize("name", [name for name, vector in NOTES.items() if not vector.get("refused")])
def test_published_note_verifies(name: str) -> None:
    vector = NOTES[name]
    parsed = note.parse(vector["note"])
    found = note.verify(parsed, [note.verifier_key(key) for key in vector["keys"]])
    assert parsed.text == vector["text"]
    assert [{"name": item.key.name, "time": item.time} for item in found] == vector["signers"]
    assert str(parsed) == vector["note"]


@pytest.mark.parametrize("name", [name for name, vector in NOTES.items() if "checkpoint" in vector])
def test_published_checkpoint_is_read(name: str) -> None:
    expected = NOTES[name]["checkpoint"]
    head = note.checkpoint(NOTES[name]["text"])
    assert (head.origin, head.size, head.root.hex()) == (expected["origin"], expected["size"], expected["root"])
    assert head.text == NOTES[name]["text"]


@pytest.mark.parametrize("name", [name for name, vector in NOTES.items() if vector.get("refused")])
def test_bad_note_is_refused(name: str) -> None:
    vector = NOTES[name]
    with pytest.raises(NoteInvalid):
        note.verify(note.parse(vector["note"]), [note.verifier_key(key) for key in vector["keys"]])


@pytest.mark.parametrize("name", KEYS)
def test_verifier_key_is_read_or_refused(name: str) -> None:
    vector = KEYS[name]
    if vector["expected"] is None:
        with pytest.raises(NoteInvalid):
            note.verifier_key(vector["vkey"])
        return
    key = note.verifier_key(vector["vkey"])
    assert {"name": key.name, "type": key.type, "keyId": key.key_id.hex()} == vector["expected"]
    assert str(key) == vector["vkey"]


@pytest.mark.parametrize(
    "vkey", ["", "+", "++", "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "\udc80+0+A"]
)
def test_what_is_no_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteInvalid):
        note.verifier_key(vkey)


def test_signed_checkpoint_is_opened() -> None:
    entries = entries_of(3)
    head = note.open_checkpoint(checkpoint(entries), origin=ORIGIN, keys=[KEY])
    assert (head.origin, head.size) == (ORIGIN, 3)


def test_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(NoteInvalid, match="another log"):
        note.open_checkpoint(checkpoint(entries_of(1)), origin="log.example.com/other", keys=[KEY])


def test_key_of_another_name_signs_for_nobody() -> None:
    """signed-note: the key must be the log's own; a witness's word alone makes no checkpoint."""
    other = log_signer(name="log.example.com/other")
    text = Checkpoint(origin=ORIGIN, size=0, root=bytes(32)).text
    witness = witness_signer()
    signed = note.signed(text, [other.line(text), witness.line(text, time=COSIGNED_AT)])
    with pytest.raises(NoteInvalid, match="no signature by a known key"):
        note.open_checkpoint(signed, origin=ORIGIN, keys=[other.verifier, witness.verifier, KEY])


def test_cosignature_is_for_its_time_and_text() -> None:
    witness = witness_signer()
    text = Checkpoint(origin=ORIGIN, size=7, root=bytes(32)).text
    line = note.signature_line(witness.line(text, time=COSIGNED_AT)[:-1])
    parsed = note.SignedNote(text=text, signatures=(line,))
    assert [(item.key, item.time) for item in note.verify(parsed, [witness.verifier])] == [
        (witness.verifier, COSIGNED_AT)
    ]
    later = SignatureLine(
        name=WITNESS, key_id=line.key_id, signature=(COSIGNED_AT + 1).to_bytes(8, "big") + line.signature[8:]
    )
    with pytest.raises(NoteInvalid, match="wrong"):
        note.verify(note.SignedNote(text=text, signatures=(later,)), [witness.verifier])


def test_cosignature_of_an_impossible_time_is_refused() -> None:
    witness = witness_signer()
    text = Checkpoint(origin=ORIGIN, size=7, root=bytes(32)).text
    line = note.signature_line(witness.line(text, time=2**63)[:-1])
    with pytest.raises(NoteInvalid, match="impossible time"):
        note.verify(note.SignedNote(text=text, signatures=(line,)), [witness.verifier])


def test_witness_that_signs_twice_counts_once() -> None:
    witness = witness_signer()
    text = Checkpoint(origin=ORIGIN, size=7, root=bytes(32)).text
    lines = [witness.line(text, time=time) for time in (COSIGNED_AT, COSIGNED_AT + 5, COSIGNED_AT + 2)]
    found = note.verify(note.parse(note.signed(text, lines)), [witness.verifier])
    assert [item.time for item in found] == [COSIGNED_AT + 5]


def test_only_a_cosignature_has_a_time() -> None:
    with pytest.raises(ValueError, match="time"):
        log_signer().line("text\n", time=COSIGNED_AT)
    with pytest.raises(ValueError, match="time"):
        witness_signer().line("text\n")


def test_same_key_as_log_and_as_witness_has_two_ids() -> None:
    log, witness = log_signer(1), witness_signer(1, name=ORIGIN)
    assert (log.verifier.type, witness.verifier.type) == (ED25519, COSIGNATURE_V1)
    assert log.verifier.public == witness.verifier.public
    assert log.verifier.key_id != witness.verifier.key_id


@pytest.mark.parametrize("name", ["", "two words", "a+b", "tab\t", "no\u00a0break", "line\n", "\ud800", "n" * 256])
def test_bad_key_name_is_refused(name: str) -> None:
    with pytest.raises(NoteInvalid):
        log_signer(name=name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ORIGIN}\n",
        f"{ORIGIN}\n1\n",
        f"{ORIGIN}\n01\n{'A' * 43}=\n",
        f"{ORIGIN}\n-1\n{'A' * 43}=\n",
        f"{ORIGIN}\n+1\n{'A' * 43}=\n",
        f"{ORIGIN}\n١\n{'A' * 43}=\n",
        f"{ORIGIN}\n{2**63}\n{'A' * 43}=\n",
        f"{ORIGIN}\n1\nAAAA\n",
        f"{ORIGIN}\n1\n{'A' * 43}=\n\nafter an empty line\n",
        f"\n1\n{'A' * 43}=\n",
        f"{ORIGIN}\n1\n{'A' * 43}=",
    ],
)
def test_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        note.checkpoint(text)


def test_extension_lines_are_permitted() -> None:
    head = note.checkpoint(f"{ORIGIN}\n{2**63 - 1}\n{'A' * 43}=\nextension\n")
    assert (head.size, head.root) == (2**63 - 1, bytes(32))


def test_sixteen_large_signatures_are_accepted() -> None:
    """signed-note, Format: verifiers accept at least 16, and post-quantum ones are nearly 5 kB."""
    text = Checkpoint(origin=ORIGIN, size=0, root=bytes(32)).text
    large = [
        SignatureLine(name=f"pq.example/{number}", key_id=bytes(4), signature=bytes(4_990)) for number in range(15)
    ]
    signed = note.signed(text, [log_signer().line(text), *(line.text for line in large)])
    assert note.open_checkpoint(signed, origin=ORIGIN, keys=[KEY]).size == 0


@pytest.mark.parametrize(
    "data",
    [
        b"text\n\n\xff\n",
        "text\n\n\udc80\n",
        b"x" * (NOTE_BYTES_MAX + 1),
        "text\n\n" + "— a AAAAAAA=\n" * (SIGNATURES_MAX + 1),
    ],
)
def test_note_beyond_the_limits_is_refused(data: bytes | str) -> None:
    with pytest.raises(NoteInvalid):
        note.parse(data)
