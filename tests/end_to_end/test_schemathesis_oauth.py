"""The authorization server keeps to its own OpenAPI document, and its pages answer whatever a browser may send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

import schemas
from tests.end_to_end.fapi import JWT, TLS, Fapi, kept
from tests.end_to_end.stage import Stage, request
from tests.end_to_end.test_schemathesis import CHECKS, answer, apply, bent
from tests.end_to_end.visitor import LOGIN, SESSION, Visitor, filled

OPERATIONS = {
    operation.ok().label: operation.ok()
    for operation in schemathesis.openapi.from_dict(schemas.oauth_openapi()).get_all_operations()
}
AT_CONSENT = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/oauth/authorize")
_BOUNDED = settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
_CALL_SECONDS = 15


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def known(fapi: Fapi) -> dict[str, Any]:
    """What exists: a consent that can be approved, a grant, its tokens."""
    consent = await fapi.consent()
    tokens = await fapi.tokens(TLS, consent)
    form = {"grant_type": "client_credentials", "scope": "grant_management_query grant_management_revoke"}
    manager = (await fapi.ask("token", TLS, form)).json["access_token"]
    return {"consent": consent, "manager": manager, **tokens}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("label", OPERATIONS)
def test_operation_answers_as_documented(
    label: str, mode: GenerationMode, fapi: Fapi, known: dict[str, Any], session: requests.Session
) -> None:
    path, stage = label.partition(" ")[2], fapi.stage
    client = stage.folder / "clients/bank-a"

    @_BOUNDED
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode), real=st.booleans())
    def answers(case: Case, real: bool) -> None:
        if real:
            say_what_exists(case, fapi, known)
        headers = {"Authorization": f"Bearer {known['manager']}"} if "/grants/" in path else {}
        case.call_and_validate(
            base_url=fapi.issuer if path in AT_CONSENT else fapi.bank,
            session=session,
            headers=headers,
            cert=None if path in AT_CONSENT else (str(client / "cert.pem"), str(client / "key.pem")),
            verify=str(stage.folder / "pki/ca.pem"),
            allow_redirects=False,
            timeout=_CALL_SECONDS,
            checks=CHECKS,
        )

    before = len(stage.log())
    answers()
    assert b'"level":"error"' not in stage.log()[before:]


def say_what_exists(case: Case, fapi: Fapi, known: dict[str, Any]) -> None:
    """What comes at random is refused at the first look; this gets further."""
    if isinstance(case.body, dict):
        case.body["client_id"] = fapi.id(TLS)
        case.body.pop("client_assertion", None)
        case.body.pop("client_secret", None)
        if "token" in case.body:
            case.body["token"] = known["access_token"][:-3] + "AAA"
        if "redirect_uri" in case.body:
            case.body["redirect_uri"] = fapi.clients[TLS]["redirectUri"]
    if case.path_parameters and "grant_id" in case.path_parameters:
        case.path_parameters["grant_id"] = known["grant_id"].replace("-", "")[:-1]


# --- what no document describes --------------------------------------------------------------------------------

_TEXT = st.text(max_size=40) | st.sampled_from(
    [
        *("", "\0", "\r\n", "%00", "%", "%zz", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
        *("../..", "//", "\\", "é", "資料", "\u202e", "a" * 5_000, "[]", "{}", "null", "-1", "1e999"),
        *("urn:ietf:params:oauth:request_uri:", "eyJhbGciOiJub25lIn0.e30.", "a.b.c", "." * 10),
    ]
)
_PAIRS = st.lists(
    st.tuples(_TEXT | st.sampled_from(["csrf", "decision", "reason", "choice", "code"]), _TEXT), max_size=6
)
_PAGES = (
    "/",
    "/consents",
    "/consents/{}",
    "/consents/{}/receipt",
    "/auth-code",
    "/login",
    "/login/callback",
    "/signed-out",
    "/oauth/authorize",
    "/interactions/{}",
)
_FORMS = ("/auth-code", "/logout", "/interactions/{}", "/consents/{}/revocation")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(stage: Stage) -> AsyncIterator[Visitor]:
    async with Visitor(stage) as visitor:
        await visitor.sign_in()
        yield visitor


async def looked_at(visitor: Visitor, page: str, pairs: list[tuple[str, str]], part: str) -> int:
    path = page.format(quote(part, safe="", errors="replace")) + "?" + urlencode(pairs, errors="replace")
    return (await visitor.get(path)).status


@settings(max_examples=12, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(st.tuples(st.sampled_from(_PAGES), _PAIRS, _TEXT), min_size=25, max_size=25))
async def test_pages_answer_any_query(batch: list[tuple[str, list[tuple[str, str]], str]], owner: Visitor) -> None:
    before = len(owner.stage.log())
    statuses = await asyncio.gather(*(looked_at(owner, *one) for one in batch))
    assert max(statuses) < 500
    assert b'"level":"error"' not in owner.stage.log()[before:]


@settings(max_examples=12, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(st.tuples(st.sampled_from(_FORMS), _PAIRS, _TEXT, st.booleans()), min_size=25, max_size=25))
async def test_forms_answer_any_field(
    batch: list[tuple[str, list[tuple[str, str]], str, bool]], owner: Visitor
) -> None:
    csrf = filled(await owner.form("/consents", "/logout"))["csrf"]
    before = len(owner.stage.log())

    async def sent(page: str, pairs: list[tuple[str, str]], part: str, own: bool) -> int:
        path = page.format(quote(part, safe="", errors="replace"))
        form = {name: value for name, value in pairs if name != "csrf"}
        if own and page != "/logout":  # which would work
            form["csrf"] = csrf
        return (await owner.post(path, form)).status

    statuses = await asyncio.gather(*(sent(*one) for one in batch))
    assert max(statuses) < 500
    assert b'"level":"error"' not in owner.stage.log()[before:]


@pytest.mark.parametrize("cookie", ["", "=", ";", "\x01", "é", "x" * 6_000, "{}", '"', "=".join("ab")])
@pytest.mark.parametrize("name", [SESSION, LOGIN, "__Host-language", "x"])
async def test_pages_answer_any_cookie(name: str, cookie: str, stage: Stage) -> None:
    raw = f"Cookie: {name}={cookie}"
    for path in ("/consents", "/login/callback?code=x&state=y", "/auth-code"):
        async with stage.connection(stage.context(None), stage.world.ports.consent) as client:
            client.send(request("GET", path, raw))
            assert (await client.reply()).status < 500


@settings(max_examples=3, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(st.tuples(st.integers(0, 4), bent()), min_size=60, max_size=60))
async def test_bent_bytes_at_the_back_channel_and_the_pages_break_nothing(
    batch: list[tuple[int, list[tuple[int, int, bytes]]]], stage: Stage, fapi: Fapi
) -> None:
    form = "Content-Type: application/x-www-form-urlencoded"
    proof = await fapi.proof("POST", fapi.url("token", TLS))
    parameters = fapi.parameters(TLS, {"consentId": kept("x")[:36]}, "v" * 43)
    body = urlencode({**fapi.credentials(TLS), **parameters}).encode()
    by_assertion = urlencode({**fapi.credentials(JWT), "grant_type": "client_credentials", "scope": "x"}).encode()
    whole = [
        request("POST", "/oauth/par", form, body=body),
        request("POST", "/oauth/token", form, f"DPoP: {proof}", body=by_assertion),
        request("POST", "/oauth/introspect", form, body=b"client_id=bank-a-loans&token=a.b.c"),
        request("GET", "/oauth/authorize?client_id=x&request_uri=urn:ietf:params:oauth:request_uri:x"),
        request("GET", "/consents", f"Cookie: {SESSION}=x; {LOGIN}=y", "Accept-Language: zh-Hant, en;q=0.5"),
    ]
    before = len(stage.log())
    contexts = [(stage.context(TLS), stage.world.ports.bank), (stage.context(None), stage.world.ports.consent)]
    replies = await asyncio.gather(
        *(answer(stage, apply(changes, whole[which]), *contexts[which > 2]) for which, changes in batch)
    )
    assert all(reply is None or reply.status < 500 for reply in replies)
    assert b'"level":"error"' not in stage.log()[before:]
