from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict

from gateway.core.model import ConsentStatus
from gateway.errors import GatewayError, IdempotencyKeyMissing, SchemaInvalid, TokenInvalid
from gateway.exchange.admission import Credentials
from gateway.exchange.possession import Shown
from gateway.http import fields


def headers(**values: str) -> CIMultiDict[str]:
    return CIMultiDict({name.replace("_", "-"): value for name, value in values.items()})


def credentials(*given: tuple[str, str]) -> Credentials | None:
    return fields.credentials(CIMultiDict(given), method="POST", url="https://gateway.example/cdi/v1/consents")


@pytest.mark.parametrize(("scheme", "dpop"), [("bEaReR", False), ("Bearer", False), ("DPoP", True), ("dpop", True)])
def test_a_token_is_read_whatever_the_schemes_case(scheme: str, *, dpop: bool) -> None:
    read = credentials(("Authorization", f"{scheme} abc.def-_~+/=="))
    assert read == Credentials(token="abc.def-_~+/==", dpop=dpop)
    assert "abc" not in repr(read)


def test_a_proof_is_kept_with_what_it_must_have_been_made_for() -> None:
    read = credentials(("Authorization", "DPoP abc"), ("DPoP", "e30.e30.c2ln"))
    assert read is not None
    assert read.shown == Shown(proof="e30.e30.c2ln", method="POST", url="https://gateway.example/cdi/v1/consents")
    assert "c2ln" not in repr(read)


def test_no_authorization_is_no_token() -> None:
    assert credentials() is None
    assert credentials(("DPoP", "e30.e30.c2ln")) is None


@pytest.mark.parametrize("value", ["Basic abc", "Bearer", "Bearer ", "Bearer a b", "DPoP", "MAC abc", "Bearer é"])
def test_another_scheme_or_form_is_an_invalid_token(value: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        credentials(("Authorization", value))
    assert "abc" not in refused.value.detail


def test_a_missing_idempotency_key_has_its_own_code() -> None:
    with pytest.raises(IdempotencyKeyMissing):
        fields.idempotency_key(headers())


@pytest.mark.parametrize("value", ["", "a b", "x" * 256, "schlüssel", "a\tb"])
def test_an_idempotency_key_of_wrong_form_is_refused(value: str) -> None:
    with pytest.raises(SchemaInvalid):
        fields.idempotency_key(headers(Idempotency_Key=value))


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("wait=10", 10),
        ("respond-async, wait=10", 10),
        ("Wait = 7", 7),
        ('wait="5"', 5),
        ("wait=10; foo=bar", 10),
        ('a="b, wait=3", wait=4', 4),
        (", ,wait=6", 6),
        ("wait=0", 0),
        ("wait=9999", 60),
        ("wait=1, wait=2", 1),
        ("wait=1234567", None),
        ("wait=-1", None),
        ("wait=x", None),
        ("wait", None),
        ("(wait=10", None),
        ('"wait=10', None),
        ('wait="10', None),
        ("return=minimal", None),
        ("", None),
    ],
)
def test_a_preferred_wait_is_read_and_cut_to_the_limit(value: str, wait: int | None) -> None:
    preferences = fields.preferences(headers(Prefer=value), 60.0)
    assert (preferences.wait, preferences.wait_seconds) == (wait, wait or 0)


@pytest.mark.parametrize(
    ("value", "covered"),
    [
        ("wait=10, covered", True),
        ("Covered", True),
        ('covered=""', True),
        ("covered; strictly=yes, wait=1", True),
        ("covered=yes", False),
        ("covered=0, covered", False),
        ("uncovered", False),
        ('x="covered"', False),
        ("wait=10", False),
    ],
)
def test_a_preference_for_a_covered_outcome_is_read(value: str, *, covered: bool) -> None:
    assert fields.preferences(headers(Prefer=value), 60.0).covered is covered


def test_preferences_may_stand_in_several_fields() -> None:
    several = CIMultiDict([("Prefer", "covered"), ("Prefer", "wait=3")])
    assert fields.preferences(several, 60.0) == fields.Preferences(wait=3, covered=True)


def test_what_was_honoured_is_said_and_nothing_else() -> None:
    both = fields.Preferences(wait=3, covered=True)
    assert both.applied(covered=True) == {"Preference-Applied": "wait=3, covered"}
    assert both.applied(covered=False) == {"Preference-Applied": "wait=3"}
    assert fields.Preferences(covered=True).applied(covered=False) == {}
    assert fields.Preferences().applied(covered=True) == {}


@given(st.text(alphabet=' \t;,="\\\\abc', max_size=400))
def test_any_preference_is_read_in_little_time(value: str) -> None:
    assert fields.preferences(headers(Prefer=value), 60.0).wait is None


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
