"""The OpenAPI document: every route and every refusal is in it, its examples are valid, and tools can load it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
import schemathesis

import schemas
from gateway.errors import ERRORS
from gateway.http.bank import BankApi
from gateway.oauth.authcode import ALPHABET, as_code
from gateway.oauth.jws import parse_jws
from schemas import publish
from tests.openapi import examples, follows, operations, references, resolved

BUNDLE = schemas.openapi_bundle()
OPERATIONS = operations(BUNDLE)
RESPONSES = BUNDLE["components"]["responses"]


def test_bundle_refers_to_itself_alone() -> None:
    found = set(references(BUNDLE))
    assert found
    for reference in found:
        assert reference.startswith("#/components/")
        assert resolved(BUNDLE, {"$ref": reference})


def test_bundle_on_disk_is_the_document_as_it_is() -> None:
    # When this fails after an edit: python -m schemas.publish
    assert files("schemas").joinpath("openapi", publish.BUNDLE).read_bytes() == publish.bundle()


def test_every_served_route_is_documented_and_no_other() -> None:
    served = {f"{route.method} {route.path}" for route in object.__new__(BankApi).routes()}
    assert {name for name, _ in OPERATIONS} == served


def test_every_error_code_is_documented_under_its_status() -> None:
    documented = set()
    for _, operation in OPERATIONS:
        for status, response in operation["responses"].items():
            codes = resolved(BUNDLE, response).get("x-error-codes", ())
            documented |= {(code, int(status)) for code in codes}
    # A method that a path does not have belongs to no operation; the document's description speaks of it.
    expected = {(error.code, error.status) for error in ERRORS if error.code != "METHOD_NOT_ALLOWED"}
    assert documented == expected
    assert "METHOD_NOT_ALLOWED (405)" in BUNDLE["info"]["description"]


@pytest.mark.parametrize(("name", "operation"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_operation_is_complete(name: str, operation: dict[str, Any]) -> None:
    by_certificate = [way["bearer"] for way in operation["security"] if set(way) == {"mutualTLS", "bearer"}]
    by_key = [way["dpop"] for way in operation["security"] if set(way) == {"mutualTLS", "dpop"}]
    assert by_certificate == by_key != []
    assert all(by_certificate)
    assert len(by_certificate) + len(by_key) == len(operation["security"])
    assert {"400", "401", "403", "429", "500", "503"} <= operation["responses"].keys()
    assert ("404" in operation["responses"]) == ("{" in name)
    assert ("413" in operation["responses"]) == ("requestBody" in operation)
    parameters = [resolved(BUNDLE, parameter)["name"] for parameter in operation["parameters"]]
    assert {"x-fapi-interaction-id", "traceparent"} <= set(parameters)
    assert ("Idempotency-Key" in parameters) == ("422" in operation["responses"])


@pytest.mark.parametrize("name", RESPONSES)
def test_refusal_is_a_problem(name: str) -> None:
    content = RESPONSES[name]["content"]
    assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_examples_follow_their_schemas() -> None:
    found = list(examples(BUNDLE))
    assert len(found) > 20
    for schema, example in found:
        assert follows(BUNDLE, schema, example), example


def test_signed_notice_of_the_example_says_what_the_notice_says() -> None:
    example = BUNDLE["paths"]["/cdi/v1/notices"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    signed = [notice for notice in example["notices"] if "token" in notice]
    assert signed
    for notice in signed:
        jws = parse_jws(notice["token"], characters_max=4_096)
        (event,) = jws.claims["events"].values()
        assert jws.header["typ"] == "secevent+jwt"
        assert (jws.claims["jti"], jws.claims["toe"]) == (f"notice-{notice['sequence']}", notice["time"]["t"])
        assert (event["consentId"], event.get("reason")) == (notice["consentId"], notice.get("detail"))


def test_auth_code_of_the_example_has_the_form_of_one() -> None:
    operation = BUNDLE["paths"]["/cdi/v1/consents"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert as_code(examples["authCode"]["value"]["private"]["purposePrivate"])
    assert as_code(examples["redirect"]["value"]["private"]["purposePrivate"]) is None
    assert ALPHABET in operation["description"]


def test_document_is_openapi_3_1_and_tools_can_load_it() -> None:
    loaded = schemathesis.openapi.from_dict(BUNDLE)
    loaded.validate()
    assert {operation.ok().label for operation in loaded.get_all_operations()} == {name for name, _ in OPERATIONS}
