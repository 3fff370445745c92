from __future__ import annotations

from gateway.http.ops import ops_application
from gateway.observe.metrics import Metrics
from tests.fakes_edge import get, serving


def broken() -> bool:
    raise RuntimeError("secret")


async def test_all_checks_passed_is_200() -> None:
    application = ops_application(Metrics(version="1"), live={}, ready={"store": lambda: True}, started={})
    async with serving(application=application) as edge:
        client = await edge.connect(None)
        assert (await client.ask(get("/livez"))).json() == {"status": "ok", "checks": {}}
        assert (await client.ask(get("/readyz"))).json() == {"status": "ok", "checks": {"store": "ok"}}
        assert (await client.ask(get("/startupz"))).status == 200


async def test_failed_check_is_503_and_named() -> None:
    checks = {"store": lambda: True, "audit": lambda: False, "keys": broken}
    application = ops_application(Metrics(version="1"), live={}, ready=checks, started={})
    async with serving(application=application) as edge:
        reply = await (await edge.connect(None)).ask(get("/readyz"))
    assert reply.status == 503
    assert reply.json() == {"status": "failed", "checks": {"store": "ok", "audit": "failed", "keys": "failed"}}


async def test_check_is_made_anew_for_each_request() -> None:
    state = {"ready": False}
    application = ops_application(Metrics(version="1"), live={}, ready={"started": lambda: state["ready"]}, started={})
    async with serving(application=application) as edge:
        client = await edge.connect(None)
        assert (await client.ask(get("/readyz"))).status == 503
        state["ready"] = True
        assert (await client.ask(get("/readyz"))).status == 200


async def test_metrics_are_in_prometheus_text_format() -> None:
    application = ops_application(Metrics(version="1.2.3"), live={}, ready={}, started={})
    async with serving(application=application) as edge:
        reply = await (await edge.connect(None)).ask(get("/metrics"))
    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert b'cdi_build_info{version="1.2.3"} 1.0' in reply.body


async def test_other_paths_are_problems() -> None:
    application = ops_application(Metrics(version="1"), live={}, ready={}, started={})
    async with serving(application=application) as edge:
        reply = await (await edge.connect(None)).ask(get("/secret"))
    assert (reply.status, reply.json()["code"]) == (404, "NOT_FOUND")
    assert b"secret" not in reply.body
