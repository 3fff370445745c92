"""Documents that need a recent sign-in (RFC 9470) are given to nobody else."""

from __future__ import annotations

import pytest

from gateway.errors import AuthenticationTooOld
from gateway.exchange.step_up import StepUp
from tests.fakes_flows import token
from tests.samples import NOW

SECRET, PUBLIC = "PERSONAL_CREDIT_REPORT", "CORPORATE_CREDIT_REPORT"


@pytest.fixture
def step_up() -> StepUp:
    return StepUp({SECRET: 600})


def test_a_document_without_a_rule_needs_no_sign_in(step_up: StepUp) -> None:
    step_up.require(token(auth_time=None), PUBLIC, now=NOW)


@pytest.mark.parametrize("age", [0, 600])
def test_a_recent_sign_in_is_enough_up_to_its_last_second(step_up: StepUp, age: int) -> None:
    step_up.require(token(auth_time=NOW - age), SECRET, now=NOW)


@pytest.mark.parametrize("auth_time", [NOW - 601, None])
def test_an_older_sign_in_or_none_is_told_what_to_ask_for(step_up: StepUp, auth_time: int | None) -> None:
    with pytest.raises(AuthenticationTooOld) as refused:
        step_up.require(token(auth_time=auth_time), SECRET, now=NOW)
    assert refused.value.headers == {
        "WWW-Authenticate": 'Bearer error="insufficient_user_authentication", max_age="600"'
    }


def test_the_challenge_has_the_scheme_of_the_token(step_up: StepUp) -> None:
    with pytest.raises(AuthenticationTooOld) as refused:
        step_up.require(token(thumbprint=None, jkt="A" * 43), SECRET, now=NOW)
    assert refused.value.headers["WWW-Authenticate"].startswith("DPoP error=")
