"""Forms and queries: each parameter once, bounded, clean."""

from __future__ import annotations

import pytest

from gateway.oauth.parameters import NAME_CHARACTERS_MAX, PARAMETERS_MAX, VALUE_CHARACTERS_MAX, form, target
from tests.oauth_clients import refused


def test_the_pairs_become_a_mapping() -> None:
    assert form([("a", "1"), ("b", " x ")]) == {"a": "1", "b": " x "}
    assert form([]) == {}


def test_a_parameter_without_a_value_counts_as_omitted() -> None:
    """RFC 6749 §3.1."""
    assert form([("scope", ""), ("state", "x")]) == {"state": "x"}


@pytest.mark.parametrize("values", [("x", "x"), ("x", "y"), ("", "y"), ("x", ""), ("", "")])
def test_par_without_duplicate_parameters(values: tuple[str, str]) -> None:
    """RFC 6749 §3.1: also one of the two without a value."""
    found = refused(lambda: form([("state", values[0]), ("a", "1"), ("state", values[1])]))
    assert (found.code, found.reason) == ("invalid_request", "repeated_parameter")


@pytest.mark.parametrize("character", ["\x00", "\n", "\r", "\t", "\x1f", "\x7f", "\x85", "\x9f"])
def test_control_characters_are_refused(character: str) -> None:
    for pair in ((f"na{character}me", "x"), ("name", f"va{character}lue")):
        assert refused(lambda pair=pair: form([pair])).reason == "control_character"  # type: ignore[misc]


def test_the_limits_are_held() -> None:
    assert len(form((f"p{number}", "x") for number in range(PARAMETERS_MAX))) == PARAMETERS_MAX
    for pairs in (
        [(f"p{number}", "x") for number in range(PARAMETERS_MAX + 1)],
        [("n" * (NAME_CHARACTERS_MAX + 1), "x")],
        [("n", "x" * (VALUE_CHARACTERS_MAX + 1))],
    ):
        assert refused(lambda pairs=pairs: form(pairs)).reason == "too_large"  # type: ignore[misc]


def test_endless_pairs_are_not_read_to_their_end() -> None:
    read: list[int] = []

    def pairs() -> object:
        for number in range(1_000_000):
            read.append(number)
            yield f"p{number}", "x"

    refused(lambda: form(pairs()))  # type: ignore[arg-type]
    assert len(read) == PARAMETERS_MAX + 1


def test_a_token_is_for_this_resource_alone() -> None:
    """RFC 8707 §2."""
    target({}, "https://gateway.example")
    target({"resource": "https://gateway.example"}, "https://gateway.example")
    found = refused(lambda: target({"resource": "https://gateway.example/"}, "https://gateway.example"))
    assert (found.code, found.reason) == ("invalid_target", "resource")
