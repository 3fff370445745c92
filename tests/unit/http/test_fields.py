from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict

from gateway.core.model import ConsentStatus
from gateway.errors import GatewayError, IdempotencyKeyMissing, SchemaInvalid, TokenInvalid
from gateway.http import fields


def headers(**values: str) -> CIMultiDict[str]:
    return CIMultiDict({name.replace("_", "-"): value for name, value in values.items()})


def test_a_bearer_token_is_read_whatever_the_schemes_case() -> None:
    assert fields.bearer(headers(Authorization="bEaReR abc.def-_~+/==")) == "abc.def-_~+/=="


def test_no_authorization_is_no_token() -> None:
    assert fields.bearer(headers()) is None


@pytest.mark.parametrize("value", ["Basic abc", "Bearer", "Bearer ", "Bearer a b", "DPoP abc", "Bearer é"])
def test_another_scheme_or_form_is_an_invalid_token(value: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        fields.bearer(headers(Authorization=value))
    assert "abc" not in refused.value.detail


def test_a_missing_idempotency_key_has_its_own_code() -> None:
    with pytest.raises(IdempotencyKeyMissing):
        fields.idempotency_key(headers())


@pytest.mark.parametrize("value", ["", "a b", "x" * 256, "schlüssel", "a\tb"])
def test_an_idempotency_key_of_wrong_form_is_refused(value: str) -> None:
    with pytest.raises(SchemaInvalid):
        fields.idempotency_key(headers(Idempotency_Key=value))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("wait=10", 10.0),
        ("respond-async, wait=10", 10.0),
        ("Wait = 7", 7.0),
        ('wait="5"', 5.0),
        ("wait=10; foo=bar", 10.0),
        ("wait=9999", 60.0),
        ("wait=-1", 0.0),
        ("wait=x", 0.0),
        ("return=minimal", 0.0),
        ("", 0.0),
    ],
)
def test_prefer_wait_is_read_and_cut_to_the_limit(value: str, seconds: float) -> None:
    assert fields.prefer_wait(headers(Prefer=value), 60.0) == seconds


def test_an_unknown_or_repeated_parameter_is_refused() -> None:
    with pytest.raises(SchemaInvalid):
        fields.Query(MultiDict({"hkid": "A123456"}), "status")
    with pytest.raises(SchemaInvalid):
        fields.Query(MultiDict([("status", "a"), ("status", "b")]), "status")


@pytest.mark.parametrize("value", ["0", "201", "-1", "1.5", "٣", "1e2", "", "9" * 30])
def test_a_number_outside_its_range_is_refused(value: str) -> None:
    query = fields.Query(MultiDict({"limit": value}), "limit")
    with pytest.raises(SchemaInvalid):
        query.number("limit", 50, least=1, most=200)


def test_numbers_statuses_and_ids_are_read() -> None:
    values = {"limit": "7", "status": "ConsentValid", "after": "0190A3C8-7B6E-7CC3-98C4-DC0C0C07398F"}
    query = fields.Query(MultiDict(values), "limit", "status", "after")
    assert query.number("limit", 50, least=1, most=200) == 7
    assert query.one_of("status", ConsentStatus) is ConsentStatus.VALID
    assert query.uuid("after") == "0190a3c8-7b6e-7cc3-98c4-dc0c0c07398f"


def test_absent_parameters_have_their_defaults() -> None:
    query = fields.Query(MultiDict(), "limit", "status", "after")
    assert (
        query.number("limit", 50, least=1, most=200),
        query.one_of("status", ConsentStatus),
        query.uuid("after"),
    ) == (
        50,
        None,
        None,
    )


@given(st.text())
def test_no_text_of_the_input_is_in_a_refusal(text: str) -> None:
    canary = f"canary{text}canary"
    query = fields.Query(MultiDict({"status": canary, "after": canary, "limit": canary}), "status", "after", "limit")
    for read in (
        lambda: query.one_of("status", ConsentStatus),
        lambda: query.uuid("after"),
        lambda: query.number("limit", 1, least=1, most=2),
    ):
        with pytest.raises(GatewayError) as refused:
            read()
        assert "canary" not in f"{refused.value} {refused.value.violations}"


@pytest.mark.parametrize(
    "value", ["{0190a3c8-7b6e-7cc3-98c4-dc0c0c07398}", "x" * 36, "0190a3c87b6e7cc398c4dc0c0c07398f", ""]
)
def test_only_the_canonical_form_is_a_uuid(value: str) -> None:
    assert fields.as_uuid(value) is None
