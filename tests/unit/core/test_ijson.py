from __future__ import annotations

from typing import Any

import pytest

from gateway.core import ijson
from gateway.errors import SchemaInvalid
from tests.fakes_profiles import vectors

VECTORS = dict(vectors("ijson"))


@pytest.mark.parametrize(
    "vector", [item for item in VECTORS.values() if "value" in item], ids=lambda v: v["description"]
)
def test_i_json_is_read(vector: dict[str, Any]) -> None:
    assert ijson.parse(bytes.fromhex(vector["hex"])) == vector["value"]


@pytest.mark.parametrize("name", [name for name, item in VECTORS.items() if "refused" in item])
def test_what_is_no_i_json_is_refused(name: str) -> None:
    with pytest.raises(SchemaInvalid) as refusal:
        ijson.parse(bytes.fromhex(VECTORS[name]["hex"]))
    (violation,) = refusal.value.violations
    assert (violation.pointer, violation.keyword, violation.message) == ("", "i-json", VECTORS[name]["refused"])


def test_refusal_holds_no_value_of_the_input() -> None:
    with pytest.raises(SchemaInvalid) as refusal:
        ijson.parse(b'{"canary-name": "canary-value", "canary-name": 1.5}')
    assert "canary" not in f"{refusal.value!r} {refusal.value.violations} {refusal.value.detail}"
