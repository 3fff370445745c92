"""Rows of an earlier version are read as they stand."""

from __future__ import annotations

import orjson
import pytest

from adapters.sql import rows
from gateway.core.model import Exchange, ExchangeStatus
from tests import samples
from tests.fakes import FakeSealer


def row_of(exchange: Exchange, *, without: tuple[str, ...] = ()) -> tuple[object, ...]:
    """As it is selected, without these members of its progress."""
    values = rows.exchange_row(
        exchange, samples.idempotency(), lease_until=0.0, lease_owner="process", sealer=FakeSealer()
    )
    progress = orjson.loads(values["progress"])
    values["progress"] = orjson.dumps({name: value for name, value in progress.items() if name not in without})
    return tuple(values[column] for column in rows.EXCHANGE_COLUMNS)


@pytest.fixture
def exchange() -> Exchange:
    return samples.exchange(
        samples.consent(),
        status=ExchangeStatus.SHARED,
        verdict=samples.verdict(),
        report=samples.report(),
        receipt=samples.receipt(),
    )


def test_a_delivered_exchange_comes_back_with_its_receipt(exchange: Exchange) -> None:
    assert rows.exchange(row_of(exchange), FakeSealer()) == exchange


def test_one_of_before_there_were_receipts_has_none(exchange: Exchange) -> None:
    found = rows.exchange(row_of(exchange, without=("receipt",)), FakeSealer())
    assert (found.receipt, found.report) == (None, exchange.report)
