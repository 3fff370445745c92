"""The vectors of RFC 8785: our subset comes out as published, the rest is refused and not written wrongly."""

from __future__ import annotations

import orjson
import pytest
import rfc8785

from gateway.core.canonical import canonical
from tests.fakes_profiles import vectors

VECTORS = dict(vectors("audit/canonical"))


@pytest.mark.parametrize("name", VECTORS)
def test_vector_is_canonical_or_refused(name: str) -> None:
    vector = VECTORS[name]
    value = orjson.loads(vector["input"])
    assert rfc8785.dumps(value) == vector["output"].encode(), "the vector itself is right"
    if vector.get("refused"):
        with pytest.raises(ValueError, match=r"supported|canonical form"):
            canonical(value)
    else:
        assert canonical(value) == vector["output"].encode()
