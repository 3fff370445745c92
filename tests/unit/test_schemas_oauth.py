"""The authorization server's OpenAPI document: the routes that are served, and limits and lists of the code."""

from __future__ import annotations

import copy
import itertools
from importlib.resources import files
from typing import Any

import pytest
import schemathesis

import schemas
from gateway.authorization import grants, handles, responses
from gateway.authorization.handles import REQUEST_URI, new_secret
from gateway.errors import ERRORS
from gateway.http import oauth as http
from gateway.oauth import assertion, dpop, metadata, parameters, request, request_object, scopes
from gateway.oauth.client import Authentication
from gateway.oauth.jws import ALGORITHMS, parse_jws
from gateway.oauth.refusal import CODES
from gateway.settings.oauth import Server
from tests.openapi import examples, follows, operations, references, resolved

DOCUMENT = schemas.oauth_openapi()
OPERATIONS = operations(DOCUMENT)
BY_NAME = dict(OPERATIONS)
SHAPES = DOCUMENT["components"]["schemas"]
TEXT = " ".join(DOCUMENT["info"]["description"].split())
BACK_CHANNEL = [name for name in BY_NAME if name.startswith("POST /oauth/")]
DISCOVERY = [name for name in BY_NAME if "well-known" in name or name == "GET /oauth/jwks"]
ISSUER, RESOURCE = "https://consent.gateway.example", "https://gateway.example"
ALL_SCOPES = (*scopes.MACHINE, *scopes.CONSENT)


def answers(name: str) -> dict[str, Any]:
    return {status: resolved(DOCUMENT, answer) for status, answer in BY_NAME[name]["responses"].items()}


def media(name: str, status: str = "200", kind: str = "application/json") -> dict[str, Any]:
    found: dict[str, Any] = answers(name)[status]["content"][kind]
    return found


def shape_of(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def words(text: str) -> str:
    return " ".join(text.split())


# --- the document -----------------------------------------------------------------------------------------


def test_document_is_packaged_and_refers_to_itself_alone() -> None:
    assert files("schemas").joinpath("openapi", "oauth-v1.yaml").is_file()
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        assert reference.startswith("#/components/")
        assert resolved(DOCUMENT, {"$ref": reference})


def test_document_is_openapi_3_1_and_tools_can_load_it() -> None:
    loaded = schemathesis.openapi.from_dict(copy.deepcopy(DOCUMENT))
    loaded.validate()
    assert {operation.ok().label for operation in loaded.get_all_operations()} == set(BY_NAME)


def test_every_served_route_is_documented_and_no_other() -> None:
    channel = object.__new__(http.BackChannel)
    served = [
        *channel.routes(),
        *channel.discovery(),
        *object.__new__(http.GrantManagement).routes(),
    ]
    names = {f"{route.method} {route.path}" for route in served}
    # The other two are a route among the browser's pages, and one that the composition root makes.
    assert set(BY_NAME) == names | {"GET /oauth/authorize", "GET /.well-known/oauth-protected-resource"}


def test_examples_follow_their_shapes() -> None:
    found = list(examples(DOCUMENT))
    assert len(found) > 20
    for shape, example in found:
        assert follows(DOCUMENT, shape, example), example


def test_everything_that_comes_in_is_bounded() -> None:
    for name in ("ClientProof", "PushedParameters", "PushedRequestObject", "ByCode", "ByRefreshToken", "ByClient"):
        for member, shape in SHAPES[name]["properties"].items():
            if isinstance(shape, bool):
                continue
            known = {**resolved(DOCUMENT, shape), **shape}
            assert {"maxLength", "const", "enum"} & known.keys(), f"{name}.{member}"


# --- operations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BACK_CHANNEL)
def test_back_channel_refuses_in_the_form_of_rfc_6749(name: str) -> None:
    found = answers(name)
    assert {"400", "401", "408", "413", "415", "429", "500", "503"} <= found.keys()
    for status in ("400", "401", "408", "413", "415", "429", "503"):
        assert found[status]["content"]["application/json"]["schema"] == shape_of("OAuthError")
    named = {resolved(DOCUMENT, parameter)["name"] for parameter in BY_NAME[name]["parameters"]}
    assert named == {"x-fapi-interaction-id", "traceparent", "DPoP"}
    assert BY_NAME[name]["requestBody"]["content"].keys() == {http.FORM}


@pytest.mark.parametrize("name", BACK_CHANNEL)
def test_codes_of_an_endpoint_are_ones_that_its_answers_can_have(name: str) -> None:
    documented = {code for answer in answers(name).values() for code in answer.get("x-error-codes", ())}
    _, _, listed = words(BY_NAME[name]["description"]).partition("Codes: ")
    own = {word for word in listed.replace("`", " ").replace(",", " ").split() if word in CODES}
    assert "invalid_request" in own
    assert own <= documented


def test_every_documented_code_is_one_of_ours() -> None:
    shared = DOCUMENT["components"]["responses"].values()
    codes = {code for answer in shared for code in answer.get("x-error-codes", ())}
    assert codes | {"server_error"} == set(SHAPES["OAuthError"]["properties"]["error"]["enum"])
    assert codes <= CODES
    problems = {code for answer in shared for code in answer.get("x-problem-codes", ())}
    assert problems <= {error.code for error in ERRORS}


@pytest.mark.parametrize("name", DISCOVERY)
def test_what_is_for_everybody_may_be_kept_for_five_minutes(name: str) -> None:
    headers = answers(name)["200"]["headers"]
    assert headers["Cache-Control"] == {"$ref": "#/components/headers/Cached"}
    assert DOCUMENT["components"]["headers"]["Cached"]["schema"]["const"] == http._CACHED["Cache-Control"]


@pytest.mark.parametrize(("method", "scope"), [("GET", scopes.GRANT_QUERY), ("DELETE", scopes.GRANT_REVOKE)])
def test_grants_are_managed_with_a_token_of_the_clients_own(method: str, scope: str) -> None:
    operation = BY_NAME[f"{method} /oauth/grants/{{grantId}}"]
    ways = [{"mutualTLS": [], "bearer": [scope]}, {"mutualTLS": [], "dpop": [scope]}]
    assert operation["security"] == ways
    for status in ("400", "401", "403", "404", "429", "503"):
        assert media(f"{method} /oauth/grants/{{grantId}}", status, "application/problem+json")["schema"] == shape_of(
            "Problem"
        )


def test_each_listener_serves_what_the_document_says() -> None:
    alone = {
        path: list(item["servers"][0]["variables"]) for path, item in DOCUMENT["paths"].items() if "servers" in item
    }
    assert alone == {
        "/.well-known/oauth-authorization-server": ["consent"],
        "/.well-known/openid-configuration": ["consent"],
        "/.well-known/oauth-protected-resource": ["bank"],
        "/oauth/authorize": ["consent"],
        "/oauth/grants/{grantId}": ["bank"],
    }


# --- values are the code's --------------------------------------------------------------------------------


def test_metadata_of_the_examples_are_what_the_code_says() -> None:
    server = metadata.server_metadata(issuer=ISSUER, mtls_base=RESOURCE, scopes=ALL_SCOPES, refresh_tokens=True)
    for where in ("oauth-authorization-server", "openid-configuration"):
        assert media(f"GET /.well-known/{where}")["example"] == server
    resource = metadata.protected_resource_metadata(resource=RESOURCE, issuers=[ISSUER], scopes=ALL_SCOPES)
    assert media("GET /.well-known/oauth-protected-resource")["example"] == resource


def test_tokens_of_the_examples_say_what_their_answers_say() -> None:
    for example in media("POST /oauth/token")["examples"].values():
        answer = example["value"]
        token = parse_jws(answer["access_token"], characters_max=grants.TOKEN_CHARACTERS_MAX)
        assert token.header == {"alg": "ES256", "kid": "tokens-1", "typ": "at+jwt"}
        assert follows(DOCUMENT, shape_of("AccessTokenClaims"), token.claims)
        assert ("jkt" in token.claims["cnf"]) == (answer["token_type"] == "DPoP")
        for member in ("scope", "grant_id", "authorization_details"):
            assert token.claims.get(member) == answer.get(member)


def test_signed_requests_of_the_examples_hold_what_is_asked_for() -> None:
    pushed = BY_NAME["POST /oauth/par"]["requestBody"]["content"][http.FORM]["examples"]
    signed = parse_jws(pushed["byRequestObject"]["value"]["request"], characters_max=request_object.CHARACTERS_MAX)
    plain = pushed["byCertificate"]["value"]
    assert signed.header["typ"] == "oauth-authz-req+jwt"
    assert {signed.claims["iss"], signed.claims["client_id"]} == {plain["client_id"]}
    for name in ("response_type", "redirect_uri", "scope", "code_challenge", "code_challenge_method"):
        assert signed.claims[name] == plain[name]
    proof = parse_jws(
        pushed["byAssertion"]["value"]["client_assertion"], characters_max=assertion.CHARACTERS_MAX
    ).claims
    assert (proof["iss"], proof["aud"]) == (proof["sub"], ISSUER)
    assert proof["exp"] - proof["iat"] <= assertion.LIFETIME_SECONDS_MAX


def test_handles_and_secrets_have_the_shapes_of_those_that_are_issued() -> None:
    secret = new_secret()
    assert follows(DOCUMENT, shape_of("Secret"), secret)
    assert follows(DOCUMENT, shape_of("RequestUri"), REQUEST_URI + secret)
    assert not follows(DOCUMENT, shape_of("RequestUri"), secret)
    assert handles.handle_of(REQUEST_URI + secret) == secret


def test_limits_are_those_of_the_code() -> None:
    pushed, proof = SHAPES["PushedParameters"]["properties"], SHAPES["ClientProof"]["properties"]
    assert pushed["state"]["maxLength"] == request.STATE_CHARACTERS_MAX
    assert pushed["nonce"]["maxLength"] == request.NONCE_CHARACTERS_MAX
    assert set(pushed["response_mode"]["enum"]) == set(request.RESPONSE_MODES)
    assert str(request.AGE_SECONDS_MAX) in pushed["max_age"]["description"]
    assert f"Up to {request.LIST_ITEMS_MAX} " in pushed["acr_values"]["description"]
    assert proof["client_assertion"]["maxLength"] == assertion.CHARACTERS_MAX
    assert SHAPES["CompactJws"]["maxLength"] == request_object.CHARACTERS_MAX == parameters.VALUE_CHARACTERS_MAX
    assert SHAPES["AboutToken"]["properties"]["token"]["maxLength"] == grants.TOKEN_CHARACTERS_MAX
    assert DOCUMENT["components"]["parameters"]["DPoP"]["schema"]["maxLength"] == dpop.CHARACTERS_MAX
    assert parameters.PARAMETERS_MAX == http.PARAMETERS_MAX
    for said in (
        f"{parameters.PARAMETERS_MAX} parameters; a name has at most {parameters.NAME_CHARACTERS_MAX} characters, "
        f"a value {parameters.VALUE_CHARACTERS_MAX:,}",
        f"`exp` at most {assertion.LIFETIME_SECONDS_MAX // 60} minutes ahead; "
        f"`nbf` and `iat` at most {assertion.SKEW_SECONDS} s ahead",
        f"`iat` at most {dpop.AGE_SECONDS_MAX} s ago and {dpop.SKEW_SECONDS} s ahead",
        f"DPoP nonce {dpop.NONCE_SECONDS} to {2 * dpop.NONCE_SECONDS}",
        f"authorization response as JWT {responses.JARM_SECONDS}",
    ):
        assert said in TEXT
    for said in (
        f"at most {request_object.LIFETIME_SECONDS_MAX // 60} minutes ago and {request_object.SKEW_SECONDS} s ahead",
        f"JWS of at most {request_object.CHARACTERS_MAX:,} characters",
    ):
        assert said in words(BY_NAME["POST /oauth/par"]["description"])


def test_lives_are_those_that_may_be_configured() -> None:
    shape = Server.model_json_schema()["properties"]
    pushed, code, token = (shape[name] for name in ("request_seconds", "code_seconds", "access_token_seconds"))
    assert f"pushed request {pushed['default']} ({pushed['minimum']} to {pushed['maximum']} by configuration" in TEXT
    assert f"code {code['default']} (at most {code['maximum']})" in TEXT
    assert f"access token {token['default']} ({token['minimum']} to {token['maximum']})" in TEXT
    expires = SHAPES["Pushed"]["properties"]["expires_in"]
    assert (expires["minimum"], expires["maximum"]) == (pushed["minimum"], pushed["maximum"])
    expires = SHAPES["TokenAnswer"]["properties"]["expires_in"]
    assert (expires["minimum"], expires["maximum"]) == (token["minimum"], token["maximum"])


def test_lists_are_those_of_the_code() -> None:
    described = BY_NAME["POST /oauth/par"]["description"]
    assert all(f"`{name}`" in described for name in request.UNSERVED)
    assert all(f"`{method.value}`" in TEXT for method in Authentication)
    assert all(algorithm in TEXT for algorithm in ALGORITHMS)
    assert all(f"`{scope}`" in BY_NAME["POST /oauth/token"]["description"] for scope in ALL_SCOPES)


# --- what the shapes take, the server takes ---------------------------------------------------------------


def pushed_parameters() -> dict[str, str]:
    body = BY_NAME["POST /oauth/par"]["requestBody"]["content"][http.FORM]
    return dict(body["examples"]["byCertificate"]["value"])


@pytest.mark.parametrize(
    "change",
    [
        {"response_type": "code token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"scope": "cdi:data-requests:read"},
        {"state": "x" * (request.STATE_CHARACTERS_MAX + 1)},
        {"prompt": "none"},
        {"response_mode": "fragment"},
        {"client_secret": "secret"},
        {"request": "a.b.c"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_server_refuses_is_not_in_the_shape(change: dict[str, str]) -> None:
    shape = BY_NAME["POST /oauth/par"]["requestBody"]["content"][http.FORM]["schema"]
    assert follows(DOCUMENT, shape, pushed_parameters())
    assert not follows(DOCUMENT, shape, pushed_parameters() | change)


@pytest.mark.parametrize("left_out", ["response_type", "redirect_uri", "scope", "authorization_details", "client_id"])
def test_what_the_server_requires_is_required_by_the_shape(left_out: str) -> None:
    shape = BY_NAME["POST /oauth/par"]["requestBody"]["content"][http.FORM]["schema"]
    given = {name: value for name, value in pushed_parameters().items() if name != left_out}
    assert not follows(DOCUMENT, shape, given)


def test_ways_to_a_token_do_not_mix() -> None:
    shapes = [shape_of(name) for name in ("ByCode", "ByRefreshToken", "ByClient")]
    found = BY_NAME["POST /oauth/token"]["requestBody"]["content"][http.FORM]["examples"]
    for example, (index, shape) in itertools.product(found.values(), enumerate(shapes)):
        kinds = ["authorization_code", "refresh_token", "client_credentials"]
        fits = kinds.index(example["value"]["grant_type"]) == index
        assert follows(DOCUMENT, shape, example["value"]) == fits
