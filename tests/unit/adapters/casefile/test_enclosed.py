"""Every bundle carries the verifier as it is tested, and a text that a lawyer's program shows as it is."""

from __future__ import annotations

from adapters.casefile.enclosed import enclosed
from tests.case_bundles import VERIFIER


def test_the_verifier_is_the_one_of_the_sources() -> None:
    assert enclosed()["verify.py"] == VERIFIER.read_bytes()


def test_the_text_is_plain_and_narrow_and_names_every_file() -> None:
    text = enclosed()["README.txt"].decode("ascii")
    assert max(map(len, text.splitlines())) <= 80
    for name in ("records/", "opened/", "records.csv", "proofs/", "checkpoint", "vkeys.txt", "timestamps/"):
        assert f"\n{name}" in text
    for name in ("range/entries", "manifest.json", "manifest.note", "verify.py"):
        assert f"\n{name}" in text
