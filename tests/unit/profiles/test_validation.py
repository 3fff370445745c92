from __future__ import annotations

import pytest

import schemas
from gateway.errors import SchemaInvalid
from gateway.profiles.validation import VIOLATIONS_MAX, InvalidOutput, Validators
from tests.fakes_profiles import validators, vectors

VECTORS = dict(vectors("schemas"))
VALID = [name for name, vector in VECTORS.items() if vector["valid"]]
REFUSED = [name for name, vector in VECTORS.items() if not vector["valid"]]


@pytest.mark.parametrize("name", VALID)
def test_valid_message_is_accepted(name: str) -> None:
    schema, message = VECTORS[name]["schema"], VECTORS[name]["message"]
    validators().check(schema, message)
    validators().assert_valid(schema, message)
    assert validators().is_valid(schema, message)


@pytest.mark.parametrize("name", REFUSED)
def test_message_that_breaks_a_rule_is_refused_with_its_place(name: str) -> None:
    vector = VECTORS[name]
    with pytest.raises(SchemaInvalid) as refusal:
        validators().check(vector["schema"], vector["message"])
    found = [{"pointer": item.pointer, "keyword": item.keyword} for item in refusal.value.violations]
    assert sorted(found, key=lambda item: (item["pointer"], item["keyword"])) == vector["violations"]


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_holds_no_value_of_the_message(name: str) -> None:
    vector = VECTORS[name]
    with pytest.raises(SchemaInvalid) as refusal:
        validators().check(vector["schema"], vector["message"])
    with pytest.raises(InvalidOutput) as bug:
        validators().assert_valid(vector["schema"], vector["message"])
    assert "canary" not in f"{refusal.value.violations} {bug.value}"


def test_every_message_schema_has_a_vector() -> None:
    seen = {vector["schema"] for vector in VECTORS.values() if vector["valid"]}
    messages = {name for name in schemas.load() if not name.startswith("codelists/") and not name.endswith("/types")}
    assert messages <= seen


def test_violations_are_bounded() -> None:
    many = {"requests": [1] * 1000}
    with pytest.raises(SchemaInvalid) as refusal:
        validators().check("cdi/v1/data-request-batch", many)
    assert len(refusal.value.violations) == VIOLATIONS_MAX


def test_pointer_begins_where_the_caller_says() -> None:
    with pytest.raises(SchemaInvalid) as refusal:
        validators().check("cdi/v1/data-reception", {"fileHash": 1}, at="/requests/3")
    assert {item.pointer for item in refusal.value.violations} == {"/requests/3/fileHash"}


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:9/schema.json", "file:///etc/hostname", "urn:cdi-gateway:schema:unknown"]
)
def test_reference_to_the_outside_is_refused_and_not_fetched(target: str) -> None:
    with pytest.raises(ValueError, match="is not one of our schemas"):
        Validators({"x": {"$id": "urn:x", "$ref": target}})


def test_broken_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="is not valid"):
        Validators({"x": {"$id": "urn:x", "type": "strnig"}})


def test_unknown_schema_is_a_programmers_error() -> None:
    with pytest.raises(KeyError):
        validators().is_valid("cdi/v1/unknown", {})
