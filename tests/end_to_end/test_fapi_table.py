"""FAPI.md says which test holds us to which clause: each test is there, and no number of a list is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
TABLE = (HERE / "FAPI.md").read_text("utf-8")
LABELS = dict(re.findall(r"\| ([A-Z]+) \| `(test_\w+\.py)`", TABLE))
NAMED = sorted(set(re.findall(r"`([\w/.]+)::(test_\w+)`", TABLE)))
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith(("| |", "|--"))]
# How many numbers the lists of the documents have.
LISTS = {"5.3.2.1": 14, "5.3.2.2": 14, "5.3.4": 5, "5.2.3": 3, "5.4.2": 3, "5.3.1": 4}


def named_in(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_the_table_names_tests() -> None:
    assert len(LABELS) == 10
    assert len(NAMED) > 80


@pytest.mark.parametrize(("label", "name"), NAMED)
def test_named_test_exists(label: str, name: str) -> None:
    file = HERE / LABELS[label] if label in LABELS else ROOT / label
    assert name in named_in(file)


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`(tests/[\w/.]+|test_\w+\.py)`", TABLE))))
def test_named_place_exists(place: str) -> None:
    assert (ROOT / place).exists() or (HERE / place).exists()


@pytest.mark.parametrize(("section", "count"), LISTS.items())
def test_no_number_is_left_out(section: str, count: int) -> None:
    found = re.findall(rf"^\| {re.escape(section)} \((\d+)\) \|", TABLE, re.MULTILINE)
    assert [int(number) for number in found] == list(range(1, count + 1))


def test_every_row_names_a_test_or_says_why_not() -> None:
    reasons = ("does not apply", "do not apply", "not served")
    for row in ROWS:
        if row.startswith(("| clause", "| module", "| AS", "| CLIENT", "| SIGNED", "| RS", "| ATTACKS")):
            continue
        assert "test" in row.rpartition("| ")[2] or any(reason in row for reason in reasons), row
