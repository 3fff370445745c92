"""What is true of every request: interaction id, trace, in-flight limit, header hygiene, errors, metrics, one log line.

The outermost middleware. It knows routes by their templates only and holds no rule of any flow.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import (
    GatewayError,
    Internal,
    Overloaded,
    SchemaInvalid,
    SchemaVersionUnsupported,
)
from gateway.http import problems
from gateway.http.problems import INTERACTION_FIELD
from gateway.observe import waits
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics
from gateway.observe.tracing import CHILD_RANDOM_BYTES, child, parse_traceparent, trace_id
from gateway.ports import Clock, TraceContext

INTERACTION = web.RequestKey("interaction", str)
"""The interaction id: the caller's UUID, or one of ours."""
TRACE = web.RequestKey("trace", TraceContext)
"""The trace context that calls made for this request pass on."""
RESPONSE_FIELDS = web.RequestKey("response_fields", Mapping[str, str])
"""Set by a handler: fields of the answer, whatever becomes of the request (RateLimit)."""
OUTCOME = web.RequestKey("outcome", str)
"""Set by a handler: metric label of a request that was answered; a code. Without it: `ok`."""

UNMATCHED = "unmatched"
OK = "ok"

# Fields that have one value. aiohttp refuses some doubles itself, and takes the first of the others.
_SINGLE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"dpop",
        b"expect",
        b"host",
        b"idempotency-key",
        b"traceparent",
        b"transfer-encoding",
        b"x-fapi-interaction-id",
    }
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OTHER_VERSION = re.compile(r"/cdi/v(?!1(?:/|\Z))[0-9]+(?:/|\Z)")
_ABSOLUTE_FORM = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)


class InFlight:
    """How many requests are under way, on all listeners that share it."""

    __slots__ = ("count", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0

    def check(self) -> None:
        """Raises Overloaded when the request that was just counted is one too many."""
        if self.count > self.most:
            raise Overloaded()


class Boundary:
    """The middleware: `web.Application(middlewares=[Boundary(…)])`. One for each application."""

    __middleware_version__ = 1  # what `web.middleware` sets on a function

    def __init__(self, *, in_flight: InFlight, metrics: Metrics, log: Log, clock: Clock) -> None:
        self._in_flight = in_flight
        self._metrics = metrics
        self._log = log
        self._clock = clock

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started, waited = self._clock.monotonic(), waits.begin()
        entropy = os.urandom(16 + CHILD_RANDOM_BYTES)
        interaction = _interaction(request.headers.get(INTERACTION_FIELD), entropy[:16])
        trace = child(parse_traceparent(request.headers.get("traceparent")), entropy[16:])
        request[INTERACTION] = interaction
        request[TRACE] = trace
        self._in_flight.count += 1
        try:
            self._in_flight.check()
            check_hygiene(request)
            response = await handler(request)
            outcome = request.get(OUTCOME, OK)
        except Exception as error:
            response, outcome = self._refused(request, error, interaction)
        finally:
            self._in_flight.count -= 1
        if not response.prepared:
            _complete(response, request, interaction)
        self._observe(request, response.status, outcome, seconds=self._clock.monotonic() - started, waited=waited)
        if isinstance(response, web.HTTPException):  # a redirect; aiohttp wants it raised
            raise response
        return response

    def _refused(self, request: web.Request, error: Exception, interaction: str) -> tuple[web.StreamResponse, str]:
        if isinstance(error, web.HTTPException) and error.status < 400:
            return error, OK
        refusal = _refusal(request, error)
        if isinstance(refusal, Internal):
            self._log.failure("request.failed", error, interaction=interaction)
        elif refusal.status >= 500 and error.__cause__ is not None:
            self._log.failure("request.failed", error.__cause__, level="warning", interaction=interaction)
        if refusal.status == 401:
            self._metrics.auth_failures(refusal.private or refusal.code).inc()
        elif refusal.status == 429:
            self._metrics.rate_limited(refusal.private).inc()  # the policy's name
        return problems.response(refusal, interaction=interaction), refusal.code

    def _observe(self, request: web.Request, status: int, outcome: str, *, seconds: float, waited: waits.Waits) -> None:
        route = route_template(request)
        self._metrics.requests(route, outcome).inc()
        self._metrics.request_duration(route).observe(seconds)
        self._metrics.gateway_duration(route).observe(max(seconds - waited.seconds, 0.0))
        self._log.event(
            "request.done",
            interaction=request[INTERACTION],
            trace=trace_id(request[TRACE]),
            route=f"{request.method} {route}",
            status=status,
            outcome=outcome,
            milliseconds=round(seconds * 1000, 3),
        )


def route_template(request: web.Request) -> str:
    """The template of the matched route (`/cdi/v1/consents/{consentId}`), or `unmatched`. Never the path."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNMATCHED


def check_hygiene(request: web.Request) -> None:
    """Raises SchemaInvalid for what a proxy in front could read otherwise than we do, or than the next handler does."""
    seen: set[bytes] = set()
    for name, _ in request.raw_headers:
        field = name.lower()
        if field in _SINGLE:
            if field in seen:
                raise SchemaInvalid("A header field that has one value is given more than once")
            seen.add(field)
    # RFC 9112 §6.1: both together is how requests are smuggled. The parser refuses it too.
    if b"content-length" in seen and b"transfer-encoding" in seen:
        raise SchemaInvalid("Content-Length and Transfer-Encoding exclude each other")
    target = request.raw_path
    if not target.startswith("/"):
        # RFC 9112 §3.2.2. A user part makes the authority differ, and is refused with it.
        absolute = _ABSOLUTE_FORM.match(target)
        if absolute is not None and absolute[1].lower() != request.headers.get("Host", "").lower():
            raise SchemaInvalid("The request target names another host than the Host field")


def _interaction(field: str | None, entropy: bytes) -> str:
    if field is not None and _UUID.fullmatch(field) is not None:
        return field
    return str(uuid.UUID(bytes=entropy, version=4))


def _complete(response: web.StreamResponse, request: web.Request, interaction: str) -> None:
    fields = response.headers
    fields[INTERACTION_FIELD] = interaction
    fields.setdefault("Cache-Control", "no-store")
    fields.setdefault("X-Content-Type-Options", "nosniff")
    extra = request.get(RESPONSE_FIELDS)
    if extra is not None:
        fields.update(extra)


def _refusal(request: web.Request, error: Exception) -> GatewayError:
    if isinstance(error, GatewayError):
        return error
    if not isinstance(error, web.HTTPException):
        return Internal()
    if error.status == 404 and _OTHER_VERSION.match(request.rel_url.path) is not None:
        return SchemaVersionUnsupported("This gateway serves /cdi/v1")
    return problems.of_http_exception(error)
