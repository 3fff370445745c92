"""The sample documents are real PDF files that stay as they were registered."""

from __future__ import annotations

from pathlib import Path

from adapters.sandbox.cast import SOURCES
from adapters.sandbox.samples import SAMPLES, render, write_samples

NOW = 1_790_000_000


def test_each_sample_is_a_whole_pdf() -> None:
    for sample in SAMPLES:
        document = render(sample, now=NOW)
        assert document.startswith(b"%PDF-1.")
        assert document.rstrip().endswith(b"%%EOF")


def test_samples_are_what_their_sources_may_issue() -> None:
    entitled = {source.participant_id: source.document_types for source in SOURCES}
    assert all(sample.document_type in entitled[sample.issuer_id] for sample in SAMPLES)


def test_a_document_that_is_there_is_not_changed(tmp_path: Path) -> None:
    write_samples(tmp_path, now=NOW)
    before = [(tmp_path / sample.file).read_bytes() for sample in SAMPLES]
    write_samples(tmp_path, now=NOW + 86_400)
    assert [(tmp_path / sample.file).read_bytes() for sample in SAMPLES] == before
