"""Real PDF documents of invented companies, as the sandbox's sources issue them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters.sandbox.cast import BANK_SOURCE, CREDIT_SOURCE
from adapters.sandbox.files import write_public


class SamplesUnavailable(Exception):
    """The optional package that makes PDF files is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A document to be made. `rows` are the lines of its table."""

    file: str
    document_type: str
    issuer_id: str
    title: str
    issuer_name: str
    rows: tuple[tuple[str, str], ...]


SAMPLES = (
    Sample(
        file="samples/credit-report.pdf",
        document_type="CORPORATE_CREDIT_REPORT",
        issuer_id=CREDIT_SOURCE.participant_id,
        title="Corporate Credit Report",
        issuer_name=CREDIT_SOURCE.name,
        rows=(
            ("Company", "Qianhai Example Trading Co., Ltd."),
            ("Unified social credit code", "91440300EXAMPLE00X"),
            ("Registered capital", "CNY 5,000,000"),
            ("Bank credit lines", "3, of which none overdue"),
            ("Outstanding loans", "CNY 1,240,000"),
            ("Overdue in the last 24 months", "0"),
            ("Public records", "none"),
            ("Credit score", "712 of 850"),
        ),
    ),
    Sample(
        file="samples/bank-statement.pdf",
        document_type="BANK_STATEMENT",
        issuer_id=BANK_SOURCE.participant_id,
        title="Bank Statement",
        issuer_name=BANK_SOURCE.name,
        rows=(
            ("Account holder", "Qianhai Example Trading Co., Ltd."),
            ("Account", "6200 **** **** 0188"),
            ("Opening balance", "CNY 318,204.55"),
            ("Credits", "CNY 1,902,110.00"),
            ("Debits", "CNY 1,765,871.20"),
            ("Closing balance", "CNY 454,443.35"),
        ),
    ),
    Sample(
        file="samples/deposit-certificate.pdf",
        document_type="DEPOSIT_CERTIFICATE",
        issuer_id=BANK_SOURCE.participant_id,
        title="Certificate of Deposit",
        issuer_name=BANK_SOURCE.name,
        rows=(
            ("Depositor", "Qianhai Example Trading Co., Ltd."),
            ("Amount", "CNY 800,000.00"),
            ("Term", "12 months"),
            ("Frozen until", "the end of the term"),
        ),
    ),
)


def write_samples(folder: Path, *, now: int) -> None:
    """Write what is not there yet: a document that was registered never changes. Raises SamplesUnavailable."""
    for sample in SAMPLES:
        file = folder / sample.file
        if not file.exists():
            write_public(file, render(sample, now=now))


def render(sample: Sample, *, now: int) -> bytes:
    """One page of PDF."""
    try:
        from fpdf import FPDF  # noqa: PLC0415  an optional package: `cdi-dvp-gateway[sandbox]`
    except ImportError as error:
        raise SamplesUnavailable(
            "the sample documents need fpdf2: install cdi-dvp-gateway with its extra `sandbox`"
        ) from error
    day = datetime.fromtimestamp(now, UTC)
    pdf = FPDF()
    pdf.set_creation_date(day)
    pdf.set_title(sample.title)
    pdf.set_author(sample.issuer_name)
    pdf.add_page()
    pdf.set_font("helvetica", style="B", size=18)
    pdf.cell(text=sample.title, new_x="LMARGIN", new_y="NEXT", h=12)
    pdf.set_font("helvetica", size=10)
    pdf.cell(text=f"{sample.issuer_name}, {day:%Y-%m-%d}", new_x="LMARGIN", new_y="NEXT", h=8)
    pdf.ln(4)
    with pdf.table(first_row_as_headings=False, col_widths=(2, 3)) as table:
        for label, value in sample.rows:
            row = table.row()
            row.cell(label)
            row.cell(value)
    pdf.ln(8)
    pdf.set_font("helvetica", style="I", size=8)
    pdf.multi_cell(0, text="Sample document of the CDI-DVP gateway's sandbox. Every name and figure is invented.")
    return bytes(pdf.output())
