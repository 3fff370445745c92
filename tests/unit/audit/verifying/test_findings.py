"""Faults are counted without end and told up to a limit; the first wrong index is as exact as they allow."""

from __future__ import annotations

from gateway.audit.verifying import Report
from gateway.audit.verifying.findings import KEPT_MAX


def test_report_without_faults_is_good() -> None:
    assert Report().ok
    assert Report().first_wrong is None


def test_first_wrong_index_is_the_smallest() -> None:
    report = Report()
    for index in (900, 7, 300):
        report.fault("is wrong", first=index)
    assert report.first_wrong == (7, 7)


def test_vague_fault_does_not_hide_an_exact_one() -> None:
    """Somewhere in 0 to 999 something is wrong, and 7 is: the first wrong index is 7 or before."""
    report = Report()
    report.fault("is wrong", first=0, last=999)
    report.fault("is wrong", first=7)
    assert report.first_wrong == (0, 7)


def test_fault_that_is_not_about_entries_names_none() -> None:
    report = Report()
    report.fault("is not signed", path="checkpoint")
    assert not report.ok
    assert report.first_wrong is None


def test_faults_are_told_up_to_a_limit_and_counted() -> None:
    report = Report()
    for index in reversed(range(KEPT_MAX + 10)):
        report.fault("is wrong", first=index)
    assert (len(report.findings), report.faults, report.first_wrong) == (KEPT_MAX, KEPT_MAX + 10, (0, 0))
