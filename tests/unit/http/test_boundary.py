from __future__ import annotations

import asyncio
import re
import uuid

import pytest
from aiohttp import web

from gateway.errors import ConsentNotFound, RateLimited, StateConflict, TokenInvalid, TokenMissing, UpstreamUnavailable
from gateway.http.boundary import INTERACTION, OUTCOME, RESPONSE_FIELDS, TRACE, route_template
from gateway.observe import waits
from tests.fakes_edge import WAIT_SECONDS, Edge, Reply, get, post, serving

CANARY = "HKG:12345678"
UUID = re.compile(r"[0-9a-f-]{36}")
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def show(request: web.Request) -> web.Response:
    request[OUTCOME] = "MATCH"
    request[RESPONSE_FIELDS] = {"RateLimit": '"participant";r=1;t=1'}
    text = f"{request[INTERACTION]} {request[TRACE].traceparent} {route_template(request)}"
    return web.Response(text=text)


async def break_down(request: web.Request) -> web.Response:
    raise ValueError(CANARY)


async def take_too_long(request: web.Request) -> web.Response:
    raise TimeoutError(CANARY)


async def refuse(request: web.Request) -> web.Response:
    request[RESPONSE_FIELDS] = {"RateLimit": '"participant";r=0;t=1'}
    errors = {
        "limited": RateLimited(retry_after_seconds=9, private="participant"),
        "conflict": StateConflict(private=CANARY),
        "missing": TokenMissing(),
        "invalid": TokenInvalid(private="expired"),
        "consent": ConsentNotFound(),
    }
    if request.match_info["kind"] == "upstream":
        try:
            raise ConnectionRefusedError(CANARY)
        except OSError as error:
            raise UpstreamUnavailable from error
    raise errors[request.match_info["kind"]]


ROUTES = (
    web.get("/cdi/v1/things/{thingId}", show),
    web.post("/cdi/v1/things/{thingId}", show),
    web.get("/broken", break_down),
    web.get("/late", take_too_long),
    web.get("/refused/{kind}", refuse),
)
PATH = "/cdi/v1/things/42"


async def ask(edge: Edge, data: bytes) -> Reply:
    return await (await edge.connect(None)).ask(data)


async def test_interaction_id_of_the_client_is_echoed() -> None:
    mine = str(uuid.uuid4()).upper()
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get(PATH, f"x-fapi-interaction-id: {mine}"))
    assert reply.headers["x-fapi-interaction-id"] == mine
    assert reply.body.decode().split()[0] == mine


@pytest.mark.parametrize("field", ["", "42", "x" * 36, CANARY, "g" * 8 + "-0000-0000-0000-000000000000"])
async def test_invalid_interaction_id_is_replaced(field: str) -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get(PATH, f"x-fapi-interaction-id: {field}"))
    assert reply.status == 200
    assert str(uuid.UUID(reply.headers["x-fapi-interaction-id"])) == reply.headers["x-fapi-interaction-id"]


async def test_each_request_gets_its_own_interaction_id() -> None:
    async with serving(*ROUTES) as edge:
        first, second = await ask(edge, get(PATH)), await ask(edge, get(PATH))
    assert first.headers["x-fapi-interaction-id"] != second.headers["x-fapi-interaction-id"]


async def test_trace_is_continued_as_a_child() -> None:
    async with serving(*ROUTES) as edge:
        trace = (await ask(edge, get(PATH, f"traceparent: {TRACEPARENT}"))).body.decode().split()[1]
    assert trace[:36] == TRACEPARENT[:36]
    assert trace[36:52] != TRACEPARENT[36:52]


async def test_invalid_trace_is_started_anew() -> None:
    async with serving(*ROUTES) as edge:
        trace = (await ask(edge, get(PATH, f"traceparent: {TRACEPARENT[:-1]}Z"))).body.decode().split()[1]
    assert trace[:36] != TRACEPARENT[:36]


async def test_answer_has_the_fields_of_every_answer() -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get(PATH))
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["ratelimit"] == '"participant";r=1;t=1'
    assert reply.headers["server"] == "cdi-gateway"


async def test_refusal_is_a_problem_with_the_same_fields() -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get("/refused/limited"))
    assert (reply.status, reply.json()["code"]) == (429, "RATE_LIMITED")
    assert reply.headers["retry-after"] == "9"
    assert reply.headers["ratelimit"] == '"participant";r=0;t=1'
    assert reply.json()["instance"] == reply.headers["x-fapi-interaction-id"]


async def test_private_detail_of_a_refusal_stays_private() -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get("/refused/conflict"))
        assert CANARY.encode() not in reply.body
        assert CANARY.encode() not in edge.stream.getvalue()


@pytest.mark.parametrize("path", ["/broken", "/late"])
async def test_unexpected_exception_shows_nothing_of_itself(path: str) -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get(path))
        assert (reply.status, reply.json()["code"]) == (500, "INTERNAL")
        (failed,) = [event for event in edge.events() if event["event"] == "request.failed"]
        assert failed["error"] in {"ValueError", "TimeoutError"}
        assert failed["location"]
        assert failed["interaction"] == reply.headers["x-fapi-interaction-id"]
        for place in (reply.body, str(reply.headers).encode(), edge.stream.getvalue(), edge.metrics.render()):
            assert CANARY.encode() not in place
            assert b"Traceback" not in place


async def test_cause_of_an_outage_is_logged_by_type() -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get("/refused/upstream"))
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        (failed,) = [event for event in edge.events() if event["event"] == "request.failed"]
        assert failed["error"] == "ConnectionRefusedError"
        assert CANARY.encode() not in edge.stream.getvalue()


async def test_unknown_path_is_not_found_without_echo() -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get(f"/nowhere/{CANARY}?hkid={CANARY}"))
        assert (reply.status, reply.json()["code"]) == (404, "NOT_FOUND")
        assert CANARY.encode() not in reply.body + edge.stream.getvalue() + edge.metrics.render()


async def test_other_method_is_not_allowed_and_told_which_are() -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get(PATH, method="DELETE"))
    assert (reply.status, reply.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert set(reply.headers["allow"].split(",")) >= {"GET", "POST"}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/cdi/v2/consents", "SCHEMA_VERSION_UNSUPPORTED"),
        ("/cdi/v10", "SCHEMA_VERSION_UNSUPPORTED"),
        ("/cdi/v1/nothing", "NOT_FOUND"),
        ("/cdi/v1", "NOT_FOUND"),
        ("/cdi/vx/consents", "NOT_FOUND"),
    ],
)
async def test_other_version_is_named_as_such(path: str, code: str) -> None:
    async with serving(*ROUTES) as edge:
        assert (await ask(edge, get(path))).json()["code"] == code


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "DPoP",
        "Idempotency-Key",
        "Content-Type",
        "traceparent",
        "x-fapi-interaction-id",
        "Expect",
        "Host",
    ],
)
async def test_doubled_field_is_refused(name: str) -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get(PATH, f"{name}: a", f"{name.upper()}: a"))
    assert (reply.status, reply.json()["code"]) == (400, "SCHEMA_INVALID")


async def test_list_fields_may_come_in_parts() -> None:
    async with serving(*ROUTES) as edge:
        assert (await ask(edge, get(PATH, "Prefer: wait=1", "Prefer: handling=strict"))).status == 200


async def test_absolute_target_of_the_same_host_is_served() -> None:
    async with serving(*ROUTES) as edge:
        assert (await ask(edge, get(f"http://LOCALHOST{PATH}"))).status == 200


@pytest.mark.parametrize("authority", ["elsewhere", "localhost:1", "localhost@elsewhere", "user@localhost"])
async def test_absolute_target_of_another_host_is_refused(authority: str) -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, get(f"http://{authority}{PATH}"))
    assert (reply.status, reply.json()["code"]) == (400, "SCHEMA_INVALID")


async def test_requests_above_the_limit_are_refused_and_let_in_again() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def linger(request: web.Request) -> web.Response:
        entered.set()
        await leave.wait()
        return web.Response()

    async with serving(web.get("/", linger), in_flight_max=1) as edge, asyncio.timeout(WAIT_SECONDS):
        first = await edge.connect(None)
        first.send(get())
        await entered.wait()
        reply = await ask(edge, get())
        assert (reply.status, reply.json()["code"]) == (503, "OVERLOADED")
        assert int(reply.headers["retry-after"]) >= 1
        leave.set()
        assert (await first.reply()).status == 200
        assert (await ask(edge, get())).status == 200


async def test_requests_are_counted_by_template_and_outcome() -> None:
    async with serving(*ROUTES) as edge:
        await ask(edge, get(PATH))
        await ask(edge, get("/cdi/v1/things/43"))
        await ask(edge, get("/nowhere"))
        assert edge.sample("cdi_requests_total", route="/cdi/v1/things/{thingId}", outcome="MATCH") == 2
        assert edge.sample("cdi_requests_total", route="unmatched", outcome="NOT_FOUND") == 1
        assert edge.sample("cdi_request_duration_seconds_count", route="/cdi/v1/things/{thingId}") == 2


async def test_refused_tokens_are_counted_by_reason() -> None:
    async with serving(*ROUTES) as edge:
        await ask(edge, get("/refused/invalid"))
        reply = await ask(edge, get("/refused/missing"))
        assert reply.headers["www-authenticate"] == "Bearer"
        assert edge.sample("cdi_auth_failures_total", reason="expired") == 1
        assert edge.sample("cdi_auth_failures_total", reason="TOKEN_MISSING") == 1


async def test_a_rate_refusal_is_counted_by_its_policy() -> None:
    async with serving(web.get("/refused/{kind}", refuse)) as edge:
        await ask(edge, get("/refused/limited"))
        assert edge.sample("cdi_rate_limited_total", policy="participant") == 1


async def test_own_time_leaves_waiting_out() -> None:
    async def wait_on_others(_request: web.Request) -> web.Response:
        edge.clock.time += 3
        waits.add(2.0)
        return web.Response()

    async with serving(web.get("/", wait_on_others)) as edge:
        await ask(edge, get())
        assert edge.sample("cdi_request_duration_seconds_sum", route="/") == 3
        assert edge.sample("cdi_gateway_duration_seconds_sum", route="/") == 1


async def test_one_event_per_request_without_path_or_query() -> None:
    async with serving(*ROUTES) as edge:
        await ask(edge, get(f"{PATH}?brNo={CANARY}"))
        (done,) = [event for event in edge.events() if event["event"] == "request.done"]
        assert done["route"] == "GET /cdi/v1/things/{thingId}"
        assert (done["status"], done["outcome"]) == (200, "MATCH")
        assert CANARY.encode() not in edge.stream.getvalue()


async def test_redirect_of_a_handler_passes() -> None:
    async def move(request: web.Request) -> web.Response:
        raise web.HTTPSeeOther("/there")

    async with serving(web.get("/", move)) as edge:
        reply = await ask(edge, get())
    assert (reply.status, reply.headers["location"]) == (303, "/there")
    assert UUID.fullmatch(reply.headers["x-fapi-interaction-id"])


async def test_unknown_expectation_is_refused_without_echo() -> None:
    async with serving(*ROUTES) as edge:
        reply = await ask(edge, post(b"", f"Expect: {CANARY}", path=PATH))
    assert reply.json()["code"] == "SCHEMA_INVALID"
    assert CANARY.encode() not in reply.body
