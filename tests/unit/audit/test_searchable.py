"""What of an entry is searched for: its public fields as they stand, its digests as pseudonyms, its time in µs."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gateway.audit.privacy import Ciphertext, opened
from gateway.audit.record import entry
from gateway.audit.searchable import Keyed, digest_pseudonym, searchable
from gateway.core.model import Digest, HashAlgorithm
from gateway.core.pseudonym import pseudonym
from tests import samples

KEYED: Keyed = partial(pseudonym, b"k" * 32)


def seal(_subject: str, _entry_id: str, plaintext: bytes) -> Ciphertext:
    return Ciphertext(key="key-1", data=plaintext.hex())


def body(alive: bool = True, **changes: Any) -> dict[str, Any]:
    data = entry(samples.record(**changes), samples.ORIGIN, seal)
    return opened(data, lambda _subject, _entry_id, found: bytes.fromhex(found.data) if alive else None)


def test_the_row_of_an_entry_is_what_it_says() -> None:
    consent = samples.consent()
    row = searchable(3, body(consent=consent, time=1_800_000_000.25), KEYED)
    assert (row.index, row.time, row.type, row.family) == (
        3,
        1_800_000_000_250_000,
        "verification.intended",
        "verification",
    )
    assert (row.actor, row.client, row.outcome) == ("BANKA01DC", "bank-a", "MATCH")
    assert (row.consent, row.request, row.subject) == (consent.consent_id, "request-1", consent.subject)


def test_each_digest_is_a_pseudonym_of_algorithm_and_value() -> None:
    digests = (
        Digest(algorithm=HashAlgorithm.SM3, value="1" * 64),
        Digest(algorithm=HashAlgorithm.SHA256, value="2" * 64),
    )
    row = searchable(0, body(document=samples.document(digests=digests)), KEYED)
    assert set(row.digests) == {digest_pseudonym(KEYED, "SM3", "1" * 64), digest_pseudonym(KEYED, "SHA256", "2" * 64)}
    one = searchable(0, body(document=samples.document(digests=digests[:1])), KEYED)
    assert one.digests == (digest_pseudonym(KEYED, "SM3", "1" * 64),)
    assert not any(value * 64 in repr(row) for value in "12")


def test_an_erased_entry_has_no_digests_and_keeps_its_public_fields() -> None:
    row = searchable(0, body(alive=False), KEYED)
    assert row.digests == ()
    assert row.subject == "b" * 64


def test_what_a_record_does_not_have_is_absent() -> None:
    bare = body(consent=None, document=None, actor=None, request=None, outcome=None, evidence=None)
    row = searchable(0, bare, KEYED)
    assert (row.actor, row.client, row.consent, row.request, row.outcome, row.subject) == (None,) * 6


@pytest.mark.parametrize(
    "broken",
    [{}, {"time": "yesterday"}, {"actor": "BANKA01DC"}, {"consent": {}}, {"document": {"digest": "d"}}, {"time": 7}],
)
def test_what_is_no_entry_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        searchable(0, (body() if broken else {}) | broken, KEYED)
