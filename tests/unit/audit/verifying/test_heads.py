"""Which tree heads are believed, and what those that somebody kept demand of the log."""

from __future__ import annotations

import pytest

from gateway.audit.note import VerifierKey
from gateway.audit.verifying import Earlier, Report, Trust
from gateway.audit.verifying.heads import marks, newest
from tests.published_log import (
    COSIGNED_AT,
    ORIGIN,
    WITNESS,
    checkpoint,
    entries_of,
    log_signer,
    witness_signer,
)

KEY = log_signer().verifier
ENTRIES = entries_of(5)


def opened(data: str | None, *keys: VerifierKey, witnesses: tuple[VerifierKey, ...] = (), quorum: int = 0) -> Report:
    report = Report()
    head = newest(
        data.encode() if data is not None else None,
        Trust(keys=keys or (KEY,), witnesses=witnesses, quorum=quorum),
        report,
    )
    assert (head is None) is (report.origin is None)
    return report


def test_signed_head_is_believed() -> None:
    report = opened(checkpoint(ENTRIES))
    assert report.ok
    assert (report.origin, report.size, report.signed_by) == (ORIGIN, 5, (KEY.key_id.hex(),))


def test_either_key_of_a_rotation_is_enough() -> None:
    both = checkpoint(ENTRIES, signers=[log_signer(2), log_signer(1)])
    assert opened(both, KEY).ok
    assert opened(both, log_signer(2).verifier).ok
    assert opened(both, KEY, log_signer(2).verifier).signed_by == tuple(
        sorted(log_signer(number).verifier.key_id.hex() for number in (1, 2))
    )


def test_unknown_key_is_told_with_the_one_that_is_needed() -> None:
    text = opened(checkpoint(ENTRIES), log_signer(2).verifier).findings[0].text
    assert KEY.key_id.hex() in text
    assert log_signer(2).verifier.key_id.hex() in text


def test_log_of_another_name_is_told_by_its_name() -> None:
    assert ORIGIN in opened(checkpoint(ENTRIES), log_signer(name="log.example.com/other").verifier).findings[0].text


@pytest.mark.parametrize("data", [None, "", "no note", checkpoint(ENTRIES).replace("\n5\n", "\n6\n")])
def test_what_is_no_signed_checkpoint_is_refused(data: str | None) -> None:
    report = opened(data)
    assert not report.ok
    assert report.first_wrong is None


def test_witnesses_are_counted_by_their_keys() -> None:
    cosigned = checkpoint(ENTRIES, witnesses=[witness_signer(101), witness_signer(101)])
    both = (witness_signer(101).verifier, witness_signer(102).verifier)
    report = opened(cosigned, witnesses=both, quorum=1)
    assert report.ok
    assert report.witnesses == ((WITNESS, COSIGNED_AT),)
    assert not opened(cosigned, witnesses=both, quorum=2).ok


def demanded(*kept: str, keys: tuple[VerifierKey, ...] = (KEY,)) -> tuple[list[int], Report]:
    report = Report()
    head = newest(checkpoint(ENTRIES).encode(), Trust(keys=keys), report)
    assert head is not None
    earlier = [Earlier(name=f"kept-{place}", data=data.encode()) for place, data in enumerate(kept)]
    return [mark.size for mark in marks(earlier, head, keys, report)], report


def test_earlier_heads_are_demanded() -> None:
    sizes, report = demanded(*(checkpoint(ENTRIES[:size]) for size in (0, 3, 5)))
    assert sizes == [0, 3, 5]
    assert report.ok


def test_head_of_a_longer_log_shows_that_entries_were_taken_back() -> None:
    sizes, report = demanded(checkpoint(entries_of(9)))
    assert sizes == []
    assert report.first_wrong == (5, 5)
    assert "taken back" in report.findings[0].text


def test_earlier_head_by_an_unknown_key_or_of_another_log_is_refused() -> None:
    for data in (
        checkpoint(ENTRIES, signers=[log_signer(2)]),
        checkpoint(ENTRIES, signers=[log_signer(name="log.example.com/other")]),
        "no note",
    ):
        sizes, report = demanded(data)
        assert sizes == []
        assert [finding.path for finding in report.findings] == ["kept-0"]
