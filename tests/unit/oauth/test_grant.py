"""When an Auth Code is its owner's yes to a consent."""

from __future__ import annotations

from typing import Any

import pytest

from tests import oauth_samples, samples
from tests.samples import NOW, scope


def test_an_auth_code_covers_its_owners_consent_to_this_source_and_type() -> None:
    assert oauth_samples.auth_code().covers(samples.consent(), now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"spent_at": NOW - 1.0},
        {"expires_at": float(NOW)},
        {"expires_at": NOW - 0.5},
        {"subject": "c" * 64},
        {"provider_id": "SZOTHER01DP"},
        {"document_type": "PERSONAL_CREDIT_REPORT"},
    ],
)
def test_any_other_code_covers_nothing(changes: dict[str, Any]) -> None:
    assert not oauth_samples.auth_code(**changes).covers(samples.consent(), now=NOW)


def test_a_code_covers_no_other_consent() -> None:
    code = oauth_samples.auth_code()
    for changes in (
        {"subject": "c" * 64},
        {"provider_id": "SZOTHER01DP"},
        {"scope": scope(document_type="PERSONAL_CREDIT_REPORT")},
    ):
        assert not code.covers(samples.consent(**changes), now=NOW)
