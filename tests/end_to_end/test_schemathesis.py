"""The running gateway keeps to its own OpenAPI document, for requests that follow it and for those that do not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import schemas
from tests.end_to_end.stage import Stage, bearer, check_problem, request
from tests.fakes_edge import Reply

# Not `negative_data_rejection`: a broken traceparent, Prefer or interaction id is passed over and not refused
# (W3C Trace Context §4.3, RFC 7240 §2; another interaction id is made).
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
SCOPES = "cdi:consents cdi:data-requests cdi:data-requests:read cdi:notices"
OPERATIONS = {
    operation.ok().label: operation.ok()
    for operation in schemathesis.openapi.from_dict(schemas.openapi_bundle()).get_all_operations()
}
_BOUNDED = settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # shrinking would cost more than it tells: the failing request is printed
    suppress_health_check=list(HealthCheck),
)
_CALL_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What exists: a live consent with uses left, and a data request that was answered."""

    consent: dict[str, Any]
    data_request: dict[str, Any]

    @property
    def path_parameters(self) -> dict[str, str]:
        file = self.data_request["responseList"][0]["dataFile"]["filePath"]
        return {
            "consentId": self.consent["consentId"],
            "dataRequestId": self.data_request["dataRequestId"],
            "name": file.rpartition("/")[2],
        }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def known(stage: Stage) -> AsyncIterator[Known]:
    consent, token = await stage.approved(max_uses=100_000)
    asked = await stage.bank_a.ask(token=token, consent=consent, digests=stage.sample["digests"], wait_seconds=20)
    yield Known(consent=consent, data_request=asked.json)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Connections that are kept from call to call."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("label", OPERATIONS)
def test_operation_answers_as_documented(
    label: str, mode: GenerationMode, stage: Stage, known: Known, session: requests.Session
) -> None:
    claims = stage.claims(consent=known.consent) | {"scope": SCOPES}
    client = stage.folder / "clients/bank-a"
    statuses = set()

    @_BOUNDED
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode), real=st.booleans())
    def answers(case: Case, real: bool) -> None:
        if real:
            name_what_exists(case, known)
            if mode is GenerationMode.POSITIVE:
                ask_what_the_consent_covers(case, known)
        wait_not(case)
        answer = case.call_and_validate(
            base_url=stage.bank_a.url,
            session=session,
            headers={"Authorization": f"Bearer {stage.minted(claims)}"},
            cert=(str(client / "cert.pem"), str(client / "key.pem")),
            verify=str(stage.folder / "pki/ca.pem"),
            timeout=_CALL_SECONDS,
            checks=CHECKS,
        )
        statuses.add(answer.status_code)

    answers()
    if mode is GenerationMode.POSITIVE:
        assert statuses & {200, 201, 202} or label.endswith(("/revocation", "/reception", "/cancellation"))


def name_what_exists(case: Case, known: Known) -> None:
    """Random ids are refused at the first look; these get further. The consent is not revoked, others need it."""
    if case.path_parameters and case.operation.label != "POST /cdi/v1/consents/{consentId}/revocation":
        case.path_parameters |= {
            name: value for name, value in known.path_parameters.items() if name in case.path_parameters
        }
    if isinstance(case.body, dict) and "consentId" in case.body:
        case.body["consentId"] = known.consent["consentId"]


def ask_what_the_consent_covers(case: Case, known: Known) -> None:
    """A question at random is refused for scope, purpose or source; this one is accepted."""
    if case.operation.label == "POST /cdi/v1/data-requests" and isinstance(case.body, dict):
        case.body["dataScope"] = known.data_request["dataScope"]
        case.body["purpose"] = known.consent["purpose"]
        case.body["document"]["issuerId"] = known.consent["dataProviderId"]


def wait_not(case: Case) -> None:
    """A valid wait is served, and would cost the test its length."""
    if str((case.query or {}).get("wait", "")).isdecimal():
        case.query["wait"] = 0
    if case.headers:
        case.headers.pop("Prefer", None)


# --- bytes -----------------------------------------------------------------------------------------------------

_PIECES = st.binary(max_size=20) | st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b" ",
            b"\t",
            b":",
            b",",
            b"%00",
            b"%2e%2e/",
            b"?",
            b"#",
            b"//",
            b"\xff",
            b"\xc3(",
        ),
        *(b"HTTP/1.0", b"HTTP/1.1\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b"0\r\n\r\n"),
        *(
            b"Expect: 100-continue\r\n",
            b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
            b"Connection: close\r\n",
            b'{"a":1}',
        ),
    ]
)


@st.composite
def bent(draw: st.DrawFn) -> list[tuple[int, int, bytes]]:
    """Changes of a request: where (of 1000), how many bytes go, what comes instead."""
    change = st.tuples(st.integers(0, 999), st.integers(0, 12), _PIECES)
    return draw(st.lists(change, min_size=1, max_size=4))


def apply(changes: list[tuple[int, int, bytes]], raw: bytes) -> bytes:
    for place, gone, come in changes:
        at = len(raw) * place // 1_000
        raw = raw[:at] + come + raw[at + gone :]
    return raw + b"\r\n\r\n"


@settings(max_examples=10, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(st.tuples(st.integers(0, 4), bent()), min_size=25, max_size=25))
async def test_bent_bytes_are_refused_or_served_and_never_break_anything(
    batch: list[tuple[int, list[tuple[int, int, bytes]]]], stage: Stage, known: Known
) -> None:
    token = bearer(stage.minted(stage.claims()))
    json = token, "Content-Type: application/json", "Idempotency-Key: bent"
    whole = [
        request("GET", "/cdi/v1/consents?limit=1", token),
        request("GET", f"/cdi/v1/data-requests/{known.data_request['dataRequestId']}", token),
        request("POST", "/cdi/v1/consents", *json, body=b'{"type": "ConsentTypeSignedDocNotRequired"}'),
        request("POST", "/cdi/v1/digests", token, "Content-Type: application/octet-stream", body=b"bytes"),
        request("GET", "/cdi/v1/notices?after=0", token),
    ]
    before = len(stage.log())
    answers = await asyncio.gather(*(answer(stage, apply(changes, whole[which])) for which, changes in batch))
    for reply in answers:
        if reply is not None and reply.status >= 400:
            assert check_problem(reply)["status"] not in {500, 503}
    assert b'"level":"error"' not in stage.log()[before:]
    assert any(reply is not None for reply in answers)


async def answer(
    stage: Stage, raw: bytes, context: ssl.SSLContext | None = None, port: int | None = None
) -> Reply | None:
    """The first answer; None when the connection was closed instead. Either comes in time (TimeoutError)."""
    async with stage.connection(context, port) as client:
        client.send(raw)
        try:
            reply = await client.reply()
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        # 100 (Continue) is no answer yet: the body is on its way.
        return reply if reply.status != 100 else await client.reply()
