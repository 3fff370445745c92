"""Exports as one table (CSV, JSON Lines, Parquet): what matched, opened, without proofs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.compliance.exporting import Found, Span, Tally
from gateway.ports import RecordTable


class TableFile:
    """See `exporting.Format`."""

    def __init__(self, name: str, table: RecordTable) -> None:
        self.name = name
        self._table = table

    async def prepare(self, span: Span) -> None:
        """Nothing: a table needs no checkpoint."""

    async def add(self, found: Sequence[Found]) -> None:
        await asyncio.to_thread(self._table.add, [one.row for one in found])

    async def close(self, span: Span, tally: Tally) -> None:  # noqa: ARG002 - `Format`
        await asyncio.to_thread(self._table.close)
