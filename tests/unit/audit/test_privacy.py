"""Every field has its class; what is a person's own is sealed, opened again, and unreadable once the key is gone."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from copy import deepcopy
from typing import Any

import orjson
import pytest

import schemas
from gateway.audit.privacy import FIELDS, Ciphertext, Privacy, opened, sealed
from gateway.core.canonical import canonical

ID = "0192f0c0-1111-7222-8333-444444444444"
BODY: dict[str, Any] = {
    "v": 1,
    "id": ID,
    "type": "verification.decided",
    "subject": "b" * 64,
    "document": {
        "type": "CORPORATE_CREDIT_REPORT",
        "issuer": "SZCREDIT01DP",
        "algorithm": "SM3",
        "digest": "d" * 64,
        "digests": [{"algorithm": "SM3", "value": "d" * 64}],
    },
    "evidence": "evidence-1",
    "outcome": "MATCH",
}


def seal(subject: str, entry_id: str, plaintext: bytes) -> Ciphertext:
    """Not secret: what is tested is what goes in and out."""
    return Ciphertext(key=f"key of {subject[:4]}", data=urlsafe_b64encode(entry_id.encode() + plaintext).decode())


def open_(subject: str, entry_id: str, ciphertext: Ciphertext) -> bytes | None:
    expected = seal(subject, entry_id, b"")
    assert ciphertext.key == expected.key
    return PLAINTEXTS[ciphertext.data]


PLAINTEXTS: dict[str, bytes] = {}


def remembering(subject: str, entry_id: str, plaintext: bytes) -> Ciphertext:
    found = seal(subject, entry_id, plaintext)
    PLAINTEXTS[found.data] = plaintext
    return found


def paths(schema: dict[str, Any], path: str = "") -> set[str]:
    """Of all members of an object that are not objects with members of their own and classes of their own."""
    found = set()
    for name, member in schema["properties"].items():
        inner = f"{path}{name}"
        if "properties" in member and any(field.startswith(f"{inner}.") for field in FIELDS):
            found |= paths(member, f"{inner}.")
        else:
            found.add(inner)
    return found


def test_every_field_of_the_schema_has_its_class() -> None:
    assert paths(schemas.load()["audit/v1/entry"]) == set(FIELDS)


def test_private_fields_are_sealed_and_nothing_else() -> None:
    body = sealed(deepcopy(BODY), remembering)
    assert body["document"] == {"type": "CORPORATE_CREDIT_REPORT", "issuer": "SZCREDIT01DP", "algorithm": "SM3"}
    assert "evidence" not in body
    assert orjson.loads(PLAINTEXTS[body["sealed"]["data"]]) == {
        "document": {"digest": "d" * 64, "digests": [{"algorithm": "SM3", "value": "d" * 64}]},
        "evidence": "evidence-1",
    }
    assert {name: body[name] for name in ("id", "type", "subject", "outcome")} == {
        name: BODY[name] for name in ("id", "type", "subject", "outcome")
    }


def test_opened_entry_is_what_was_sealed() -> None:
    assert opened(canonical(sealed(deepcopy(BODY), remembering)), open_) == BODY


def test_sealed_names_are_those_of_the_table() -> None:
    private = {name for name, privacy in FIELDS.items() if privacy is Privacy.SEALED}
    assert private == {"document.digest", "document.digests", "evidence"}


def test_without_a_subject_nothing_is_private() -> None:
    body = {name: value for name, value in BODY.items() if name != "subject"}
    assert sealed(deepcopy(body), seal) == body


def test_without_private_fields_nothing_is_sealed() -> None:
    body = {"v": 1, "id": ID, "subject": "b" * 64, "document": {"issuer": "SZCREDIT01DP"}}
    assert sealed(deepcopy(body), seal) == body


def test_erased_entry_says_so_and_keeps_its_public_fields() -> None:
    entry = canonical(sealed(deepcopy(BODY), seal))
    body = opened(entry, lambda subject, entry_id, ciphertext: None)
    assert body["sealed"] == "erased"
    assert body["document"] == {"type": "CORPORATE_CREDIT_REPORT", "issuer": "SZCREDIT01DP", "algorithm": "SM3"}
    assert "evidence" not in body


def test_entry_without_sealed_fields_needs_no_key() -> None:
    assert opened(canonical({"v": 1, "id": ID}), open_) == {"v": 1, "id": ID}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"\xff",
        b'{"sealed":1}',
        b'{"sealed":{}}',
        b'{"id":"a","sealed":{"data":"b","key":"c"}}',
        b'{"sealed":{"data":"b","key":"c"},"subject":"d"}',
        b'{"id":"a","sealed":{"data":1,"key":"c"},"subject":"d"}',
    ],
)
def test_what_is_no_entry_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        opened(data, lambda subject, entry_id, ciphertext: b"{}")


def test_private_part_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="not an audit entry"):
        opened(canonical(sealed(deepcopy(BODY), seal)), lambda subject, entry_id, ciphertext: b"[]")
