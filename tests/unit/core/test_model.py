"""What the words themselves say: which outcomes may still change."""

from __future__ import annotations

import pytest

from gateway.core.model import Certificate, CertificateRule, Outcome


def test_only_indeterminate_is_not_final() -> None:
    assert [outcome for outcome in Outcome if not outcome.final] == [Outcome.INDETERMINATE]


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"sha256": "a" * 64}, True),
        ({"sha256": "b" * 64}, False),
        ({"issuer": "CN=authority", "subject": "CN=bank"}, True),
        ({"issuer": "CN=authority", "subject": "CN=other"}, False),
        ({"issuer": "CN=bank", "subject": "CN=bank"}, False),
    ],
)
def test_a_rule_names_one_certificate_or_those_of_a_subject(rule: dict[str, str], *, named: bool) -> None:
    certificate = Certificate(
        sha256="a" * 64,
        thumbprint="t" * 43,
        issuer="CN=authority",
        subject="CN=bank",
        serial=1,
        not_before=0,
        not_after=1,
    )
    assert CertificateRule(**rule).names(certificate) is named
