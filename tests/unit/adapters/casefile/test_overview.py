"""The table of a case bundle is kept aside, on disk when it grows, and is the CSV."""

from __future__ import annotations

import pytest

from adapters.casefile import overview
from adapters.casefile.overview import Overview
from tests.unit.adapters.casefile.test_tables import csv_of, exported


@pytest.mark.parametrize("pages", [0, 1, 3])
def test_it_is_the_csv_with_its_encoding(pages: int) -> None:
    rows = [exported(index) for index in range(pages * 2)]
    with Overview() as table:
        for page in range(pages):
            table.add(rows[2 * page : 2 * page + 2])
        table.close()
        assert b"".join(table.chunks()) == csv_of(*rows, bom=True)


def test_a_long_one_is_the_same() -> None:
    rows = [exported(counterparty="x" * 1_000_000)] * 10
    assert sum(len(row.body["counterparty"]) for row in rows if row.body) > overview._IN_MEMORY_BYTES
    with Overview() as table:
        table.add(rows)
        table.close()
        assert b"".join(table.chunks()) == csv_of(*rows, bom=True)
