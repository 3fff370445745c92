"""A row has one cell for each column, and nothing where the entry says nothing."""

from __future__ import annotations

from gateway.audit.columns import COLUMNS, row

BODY = {
    "id": "record-1",
    "time": "2027-01-15T08:00:00.123456Z",
    "type": "verification.decided",
    "actor": {"participant": "BANKA01DC", "role": "bank", "client": "bank-a"},
    "consent": {"id": "consent-1", "status": "ConsentValid", "purpose": "SME_LOAN_UNDERWRITING", "expireTime": 1},
    "document": {
        "issuer": "SZCREDIT01DP",
        "algorithm": "SHA256",
        "digest": "a" * 64,
        "digests": [{"algorithm": "SHA256", "value": "a" * 64}, {"algorithm": "SM3", "value": "b" * 64}],
    },
    "latencyMs": 0,
    "facts": {"b": 1, "a": "x"},
}


def test_every_column_has_its_cell_of_its_type() -> None:
    found = row(3, b"\x01" * 32, "open", BODY)
    assert list(found) == list(COLUMNS)
    assert all(cell is None or type(cell) is COLUMNS[name] for name, cell in found.items())
    assert (found["index"], found["latencyMs"], found["participant"]) == (3, 0, "BANKA01DC")
    assert (found["consent"], found["consentStatus"]) == ("consent-1", "ConsentValid")
    assert (found["digest"], found["otherDigests"]) == ("a" * 64, f"SM3:{'b' * 64}")
    assert (found["facts"], found["leafHash"], found["outcome"]) == ('{"a":"x","b":1}', "01" * 32, None)


def test_what_cannot_be_read_still_has_its_place() -> None:
    found = row(3, b"\x01" * 32, "unreadable", None)
    assert {name for name, cell in found.items() if cell is not None} == {"index", "condition", "leafHash"}
