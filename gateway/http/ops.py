"""The `ops` listener: health for the cluster and metrics for Prometheus. Plain HTTP, inside only.

Live: the process is worth keeping. Ready: it may get requests. Started: start-up is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.observe.metrics import Metrics

Check = Callable[[], bool]
"""True when all is well. Never blocks, never waits."""


def ops_application(
    metrics: Metrics,
    *,
    live: Mapping[str, Check],
    ready: Mapping[str, Check],
    started: Mapping[str, Check],
) -> web.Application:
    """`/livez`, `/readyz`, `/startupz` (200, or 503 with the checks that failed) and `/metrics`."""

    async def exposition(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes(
        [
            web.get("/livez", _health(live)),
            web.get("/readyz", _health(ready)),
            web.get("/startupz", _health(started)),
            web.get("/metrics", exposition),
        ]
    )
    return application


def _health(checks: Mapping[str, Check]) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        results = {name: _holds(check) for name, check in checks.items()}
        well = all(results.values())
        body = orjson.dumps(
            {
                "status": "ok" if well else "failed",
                "checks": {name: "ok" if held else "failed" for name, held in results.items()},
            }
        )
        return web.Response(
            status=200 if well else 503,
            body=body,
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return answer


def _holds(check: Check) -> bool:
    try:
        return check()
    except Exception:  # a check that breaks has not been passed
        return False
