"""Bodies and bytes that no honest client sends: each is refused with a problem, repeats nothing, and harms nobody else.

The marker is part of every input here, and of no answer and no line of the gateway's log.
"""

from __future__ import annotations

import asyncio
import gzip
import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.end_to_end.stage import DOCUMENT_TYPE, SOURCE, Stage, bearer, check_problem, request, until
from tests.fakes_edge import Client

MARKER = "zq7marker"
CONSENTS, DIGESTS = "/cdi/v1/consents", "/cdi/v1/digests"
JSON, OCTETS = "Content-Type: application/json", "Content-Type: application/octet-stream"

NOT_I_JSON = {
    "empty": b"",
    "space": b"  \n",
    "truncated": f'{{"type": "{MARKER}'.encode(),
    "two values": f'{{"{MARKER}": 1}} {{}}'.encode(),
    "duplicate names": f'{{"{MARKER}": 1, "{MARKER}": 2}}'.encode(),
    "duplicate names by escape": f'{{"{MARKER}": 1, "\\u007aq7marker": 2}}'.encode(),
    "duplicate names far inside": f'{{"private": {{"a": [{{"{MARKER}": 1, "{MARKER}": 2}}]}}}}'.encode(),
    "nested": b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
    "nested beyond any parser": f'{{"{MARKER}":'.encode() + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "never closed": b"[" * 60_000,
    "UTF-16": f'{{"type": "{MARKER}"}}'.encode("utf-16"),
    "UTF-32": f'{{"type": "{MARKER}"}}'.encode("utf-32"),
    "latin-1": f'{{"type": "é{MARKER}"}}'.encode("latin-1"),
    "byte order mark": b"\xef\xbb\xbf" + f'{{"type": "{MARKER}"}}'.encode(),
    "invalid UTF-8": b'{"type": "\xc0\xaf' + MARKER.encode() + b'"}',
    "encoded surrogate": b'{"type": "\xed\xa0\x80"}',
    "lone surrogate": f'{{"type": "\\ud800{MARKER}"}}'.encode(),
    "noncharacter": f'{{"type": "\\uffff{MARKER}"}}'.encode(),
    "NUL": f'{{"type": "\0{MARKER}"}}'.encode(),
    "NaN": b'{"expireTime": NaN}',
    "infinity": b'{"expireTime": -Infinity}',
    "fraction": b'{"expireTime": 1.5}',
    "overflow": b'{"expireTime": 1e999}',
    "integer beyond 2^53": b'{"expireTime": 9007199254740993}',
    "integer of ten thousand digits": b'{"expireTime": ' + b"9" * 10_000 + b"}",
    "leading zero": b'{"expireTime": 007}',
    "comment": f"{{/* {MARKER} */}}".encode(),
    "trailing comma": f'{{"{MARKER}": 1,}}'.encode(),
    "single quotes": f"{{'{MARKER}': 1}}".encode(),
    "compressed unsaid": gzip.compress(f'{{"{MARKER}": 1}}'.encode()),
    "a form": f"type={MARKER}".encode(),
    "XML": f"<!DOCTYPE a [<!ENTITY b '{MARKER}'>]><a>&b;</a>".encode(),
}
NOT_AN_OBJECT = {
    "array": f'["{MARKER}"]'.encode(),
    "string": f'"{MARKER}"'.encode(),
    "number": b"7",
    "true": b"true",
    "null": b"null",
    "array of the right thing": b"[{}]",
}


class Caller:
    """bank-a's machine token and one connection, watched for answers that repeat the marker."""

    def __init__(self, stage: Stage, client: Client, token: str) -> None:
        self.stage, self.client, self.token = stage, client, token

    def post(self, target: str, *fields: str, body: bytes = b"") -> bytes:
        key = f"Idempotency-Key: {uuid.uuid4()}"
        return request("POST", target, bearer(self.token), key, *fields, body=body)

    async def refused(self, raw: bytes, code: str) -> dict[str, Any]:
        """Sent on the kept connection and refused with `code`; the connection is closed, or goes on."""
        answer = await self.client.ask(raw)
        problem = check_problem(answer, code)
        assert MARKER not in f"{answer.headers}{answer.body.decode()}"
        if answer.headers.get("connection", "").lower() == "close":
            await self.client.closed()
        else:
            await self.goes_on()
        return problem

    async def goes_on(self) -> None:
        answer = await self.client.ask(request("GET", f"{CONSENTS}?limit=1", bearer(self.token)))
        assert answer.status == 200


@pytest_asyncio.fixture(loop_scope="session")
async def caller(stage: Stage) -> AsyncIterator[Caller]:
    token = await stage.machine_token()
    pid, before = stage.world.gateway.pid, len(stage.log())
    async with stage.connection() as client:
        yield Caller(stage, client, token)
    # It is the same process, others are served, and its log holds neither the marker nor a failure.
    assert stage.world.gateway.pid == pid
    assert (await stage.bank_b.call("GET", CONSENTS, token=await stage.machine_token(stage.bank_b))).status == 200
    written = stage.log()[before:]
    assert MARKER.encode() not in written
    assert not [line for line in written.splitlines() if orjson.loads(line)["level"] == "error"]


# --- JSON ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOT_I_JSON)
async def test_what_is_no_i_json_is_refused(name: str, caller: Caller) -> None:
    body = NOT_I_JSON[name]
    length = () if body else ("Content-Length: 0",)
    problem = await caller.refused(caller.post(CONSENTS, JSON, *length, body=body), "SCHEMA_INVALID")
    assert problem["errors"][0]["keyword"] in {"i-json", "required", "additionalProperties"}


@pytest.mark.parametrize("name", NOT_AN_OBJECT)
@pytest.mark.parametrize("target", [CONSENTS, f"{CONSENTS}/{uuid.UUID(int=1)}/revocation"])
async def test_what_is_no_object_is_refused(name: str, target: str, caller: Caller) -> None:
    problem = await caller.refused(caller.post(target, JSON, body=NOT_AN_OBJECT[name]), "SCHEMA_INVALID")
    assert problem["errors"][0]["keyword"] == "type"


async def test_schema_errors_name_places_and_no_values(caller: Caller) -> None:
    body = {"type": MARKER, "scope": {"scopeType": MARKER}, MARKER: MARKER, "private": {"brNo": MARKER}}
    problem = await caller.refused(caller.post(CONSENTS, JSON, body=orjson.dumps(body)), "SCHEMA_INVALID")
    assert {"/type", "/scope/scopeType"} <= {error["pointer"] for error in problem["errors"]}
    assert len(problem["errors"]) <= 20


async def test_a_thousand_mistakes_are_told_in_one_bounded_answer(caller: Caller) -> None:
    body = orjson.dumps({f"{MARKER}{number}": number for number in range(2_000)})
    problem = await caller.refused(caller.post(CONSENTS, JSON, body=body), "SCHEMA_INVALID")
    assert len(problem["errors"]) <= 20


# --- media type and coding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [
        "Content-Type: text/plain",
        f"Content-Type: application/{MARKER}",
        "Content-Type: application/json; charset=utf-16",
        "Content-Type: application/json, text/plain",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type:",
        "X-Nothing: 1",
    ],
)
async def test_another_media_type_is_refused(field: str, caller: Caller) -> None:
    await caller.refused(caller.post(CONSENTS, field, body=b"{}"), "MEDIA_TYPE_UNSUPPORTED")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip", MARKER])
async def test_a_content_coding_is_refused_and_never_unpacked(coding: str, caller: Caller) -> None:
    body = gzip.compress(b" " * 50_000_000)  # 48 KiB that would be 50 MB
    fields = JSON, f"Content-Encoding: {coding}"
    await caller.refused(caller.post(CONSENTS, *fields, body=body), "MEDIA_TYPE_UNSUPPORTED")


# --- size and time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "field", "size"), [(CONSENTS, JSON, 65_537), (DIGESTS, OCTETS, 1_048_577)])
async def test_a_length_above_the_limit_is_refused_before_the_body(
    target: str, field: str, size: int, caller: Caller
) -> None:
    answer = await caller.client.ask(caller.post(target, field, f"Content-Length: {size}"))
    check_problem(answer, "TOO_LARGE")


@pytest.mark.parametrize(("target", "field", "size"), [(CONSENTS, JSON, 65_536), (DIGESTS, OCTETS, 1_048_576)])
async def test_chunks_above_the_limit_are_refused(target: str, field: str, size: int, caller: Caller) -> None:
    caller.client.send(caller.post(target, field, "Transfer-Encoding: chunked"))
    for _ in range(size // 16_384 + 5):  # a file is looked at in pieces of 64 KiB
        caller.client.send(b"4000\r\n" + b" " * 16_384 + b"\r\n")
    check_problem(await caller.client.reply(), "TOO_LARGE")


async def test_the_largest_body_is_not_too_large(caller: Caller) -> None:
    await caller.refused(caller.post(CONSENTS, JSON, body=b"{" + b" " * 65_534 + b"}"), "SCHEMA_INVALID")
    answer = await caller.client.ask(caller.post(DIGESTS, OCTETS, body=b"\0" * 1_048_576))
    assert (answer.status, answer.json()["size"]) == (200, 1_048_576)


async def test_a_body_that_drips_is_ended(caller: Caller) -> None:
    caller.client.send(caller.post(CONSENTS, JSON, "Content-Length: 1000"))
    answer = asyncio.ensure_future(caller.client.reply())
    while not answer.done():
        caller.client.send(b" ")
        await asyncio.wait([answer], timeout=0.1)
    check_problem(answer.result(), "REQUEST_TIMEOUT")


async def test_a_file_that_drips_is_ended(caller: Caller) -> None:
    caller.client.send(caller.post(DIGESTS, OCTETS, "Transfer-Encoding: chunked"))
    answer = asyncio.ensure_future(caller.client.reply())
    while not answer.done():
        caller.client.send(b"1\r\nx\r\n")
        await asyncio.wait([answer], timeout=0.1)
    check_problem(answer.result(), "REQUEST_TIMEOUT")


async def test_a_header_that_drips_is_cut_off(caller: Caller) -> None:
    client = caller.client
    client.send(f"GET {CONSENTS} HTTP/1.1\r\nX-{MARKER}: ".encode())
    closed = asyncio.ensure_future(client.closed())
    while not closed.done():
        client.send(b"x")
        await asyncio.wait([closed], timeout=0.1)
    assert closed.result() == b""


async def test_a_client_that_leaves_in_the_middle_harms_nobody(caller: Caller) -> None:
    before = caller.stage.log().count(b"request.done")
    caller.client.send(caller.post(CONSENTS, JSON, "Content-Length: 1000") + f'{{"{MARKER}'.encode())
    await caller.client.writer.drain()
    caller.client.writer.close()
    await until(lambda: caller.stage.log().count(b"request.done") > before)
    assert orjson.loads(caller.stage.log().splitlines()[-1])["outcome"] in {"SCHEMA_INVALID", "REQUEST_TIMEOUT"}


# --- fields ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [
        "Authorization: Bearer {marker}",
        "Idempotency-Key: {marker}",
        "Content-Type: application/{marker}",
        "x-fapi-interaction-id: {marker}",
        "traceparent: {marker}",
        "Host: {marker}.example",
        "Content-Length: 2",
        "DPoP: {marker}",
    ],
)
async def test_a_field_that_comes_twice_is_refused(field: str, caller: Caller) -> None:
    twice = field.format(marker=MARKER)
    first = twice if field.startswith(("x-", "trace", "DPoP")) else JSON
    fields = (first, twice) if first == JSON else (JSON, first, twice)
    await caller.refused(caller.post(CONSENTS, *fields, body=b"{}"), "SCHEMA_INVALID")


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("Content-Length: +5",),
        ("Content-Length: 5, 5",),
        ("Content-Length: 0x5",),
        ("Content-Length: -1",),
        ("Content-Length: 5 5",),
        ("Content-Length: 99999999999999999999999999",),
    ],
    ids=" & ".join,
)
async def test_framing_that_others_could_read_otherwise_is_refused(fields: tuple[str, ...], caller: Caller) -> None:
    raw = caller.post(CONSENTS, JSON, *fields) + b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = await caller.client.ask(raw)
    assert check_problem(answer)["code"] in {"SCHEMA_INVALID", "TOO_LARGE"}
    # What came behind was never taken for a request.
    assert b"HTTP/1.1 404" not in await caller.client.closed()


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"-1\r\n", b"5;\nab\r\n", b"FFFFFFFFFFFFFFFFF\r\n", b"1\r\nab\r\n"])
async def test_a_broken_chunk_is_refused(chunk: bytes, caller: Caller) -> None:
    raw = caller.post(CONSENTS, JSON, "Transfer-Encoding: chunked") + chunk + MARKER.encode()
    check_problem(await caller.client.ask(raw), "SCHEMA_INVALID")
    await caller.client.closed()


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (f"https://{MARKER}.example{CONSENTS}", "SCHEMA_INVALID"),
        (f"http://localhost@{MARKER}.example{CONSENTS}", "SCHEMA_INVALID"),
        (f"https://localhost:{MARKER}{CONSENTS}", "SCHEMA_INVALID"),
        (f"//{MARKER}.example/x", "NOT_FOUND"),
        (f"{CONSENTS}/../{MARKER}", "NOT_FOUND"),
        (f"{CONSENTS}/%2e%2e/{MARKER}", "NOT_FOUND"),
        (f"{CONSENTS}/{MARKER}", "NOT_FOUND"),
        (f"{CONSENTS}/%00{MARKER}", "NOT_FOUND"),
        (f"{CONSENTS}?{MARKER}=1", "SCHEMA_INVALID"),
        (f"{CONSENTS}?limit={MARKER}", "SCHEMA_INVALID"),
        (f"{CONSENTS}?limit=1&limit=2", "SCHEMA_INVALID"),
        (f"{CONSENTS}?status={MARKER}", "SCHEMA_INVALID"),
        (f"{CONSENTS}?after={MARKER}", "SCHEMA_INVALID"),
    ],
)
async def test_a_target_that_is_not_ours_is_refused(target: str, code: str, caller: Caller) -> None:
    await caller.refused(request("GET", target, bearer(caller.token)), code)


async def test_an_absolute_target_of_the_same_host_is_served(caller: Caller) -> None:
    answer = await caller.client.ask(request("GET", f"https://localhost{CONSENTS}", bearer(caller.token)))
    assert answer.status == 200


@pytest.mark.parametrize(
    "raw",
    [
        f"{MARKER}\r\n\r\n",
        f"GET {CONSENTS} {MARKER}\r\n\r\n",
        f"GET {CONSENTS} HTTP/9.9\r\nHost: localhost\r\n\r\n",
        f"GET {CONSENTS} HTTP/1.1\r\nHost: localhost\r\n {MARKER}: folded\r\n\r\n",
        f"GET {CONSENTS} HTTP/1.1\r\nHost: localhost\r\n{MARKER} : space\r\n\r\n",
        f"GET {CONSENTS} HTTP/1.1\r\nHost: localhost\r\n{MARKER}\r\n\r\n",
        f"GET {CONSENTS} HTTP/1.1\r\nHost: localhost\r\nX: {MARKER}\0\r\n\r\n",
        f"GET {CONSENTS} HTTP/1.1\r\nHost: localhost\r\n: {MARKER}\r\n\r\n",
        f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{MARKER}",
        f"G\x01T {CONSENTS}{MARKER} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"GET {CONSENTS}?{'x' * 20_000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"GET {CONSENTS} HTTP/1.1\r\nHost: localhost\r\nX-{MARKER}: {'x' * 20_000}\r\n\r\n",
        f"GET {CONSENTS} HTTP/1.1\r\nHost: localhost\r\n" + f"X: {MARKER}\r\n" * 200 + "\r\n",
    ],
    ids=range(13),
)
async def test_what_is_no_http_is_refused_and_the_connection_closed(raw: str, caller: Caller) -> None:
    answer = await caller.client.ask(raw.encode("latin-1"))
    assert check_problem(answer)["code"] in {"SCHEMA_INVALID", "TOO_LARGE"}
    assert MARKER not in f"{answer.headers}{answer.body.decode()}"
    assert answer.headers["connection"].lower() == "close"
    await caller.client.closed()


async def test_plain_text_to_the_tls_port_gets_nothing(caller: Caller) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", caller.stage.world.ports.bank)
    writer.write(f"GET /{MARKER} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    assert b"HTTP" not in answer


# --- pipelining ------------------------------------------------------------------------------------------------


async def test_pipelined_requests_are_answered_in_their_order(caller: Caller) -> None:
    ids = [str(uuid.uuid4()) for _ in range(20)]
    token = bearer(caller.token)
    caller.client.send(
        b"".join(request("GET", f"{CONSENTS}?limit=1", token, f"x-fapi-interaction-id: {one}") for one in ids)
    )
    answers = [await caller.client.reply() for _ in ids]
    assert [answer.headers["x-fapi-interaction-id"] for answer in answers] == ids
    assert {answer.status for answer in answers} == {200}


async def test_a_refused_body_is_not_read_as_the_next_request(caller: Caller) -> None:
    hidden = request("GET", f"/{MARKER}", "x-fapi-interaction-id: " + str(uuid.uuid4()))
    caller.client.send(caller.post(CONSENTS, "Content-Type: text/plain", body=hidden))
    check_problem(await caller.client.reply(), "MEDIA_TYPE_UNSUPPORTED")
    answer = await caller.client.ask(request("GET", f"{CONSENTS}?limit=1", bearer(caller.token)))
    assert answer.status == 200


async def test_an_honest_consent_follows_all_this(caller: Caller) -> None:
    body = {
        "type": "ConsentTypeSignedDocNotRequired",
        "dataProviderId": SOURCE,
        "scope": {"scopeType": "DataScopeTypeUDR", "documentType": DOCUMENT_TYPE},
        "purpose": "SME_LOAN_UNDERWRITING",
        "expireTime": caller.stage.now + 3_600,
        "private": {"dataOwnerId": f"owner {MARKER}", "dataOwnerName": f"示例貿易有限公司 {MARKER}"},
    }
    answer = await caller.client.ask(caller.post(CONSENTS, JSON, body=orjson.dumps(body)))
    assert answer.status == 201
    assert MARKER.encode() not in answer.body
