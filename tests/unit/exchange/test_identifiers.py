from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from gateway.exchange.identifiers import new_id


def test_ids_are_unique_and_of_their_time_whoever_draws_them() -> None:
    with ThreadPoolExecutor(max_workers=8) as threads:
        ids = list(threads.map(new_id, [1_800_000_000.5] * 5_000))
    assert len(set(ids)) == 5_000
    assert {uuid.UUID(made).version for made in ids} == {7}
    assert {uuid.UUID(made).int >> 80 for made in ids} == {1_800_000_000_500}
