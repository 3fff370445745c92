"""What is true of every answer to a browser: who may frame it, where its forms lead, what it may load. Nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from gateway.errors import GatewayError
from gateway.pages.views import Problem

_FIXED = {
    "Referrer-Policy": "no-referrer",  # paths hold handles
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
STATUS = {
    Problem.BAD_REQUEST: 400,
    Problem.NOT_FOUND: 404,
    Problem.NOT_YOURS: 403,
    Problem.REQUEST_GONE: 410,
    Problem.LOGIN_FAILED: 403,
    Problem.FORM_STALE: 403,
    Problem.TOO_MANY: 429,
    Problem.UNAVAILABLE: 503,
}
_BY_STATUS = {404: Problem.NOT_FOUND, 410: Problem.REQUEST_GONE, 429: Problem.TOO_MANY, 503: Problem.UNAVAILABLE}


def dress(response: web.StreamResponse, *, leads_to: Sequence[str] = ()) -> None:
    """`leads_to`: origins beside our own where a form of this page may end up (CSP counts its redirects too)."""
    targets = " ".join(("'self'", *leads_to))
    response.headers.update(_FIXED)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {targets}"
    )


def page(html: str, *, status: int = 200, leads_to: Sequence[str] = ()) -> web.Response:
    response = web.Response(text=html, status=status, content_type="text/html", charset="utf-8")
    dress(response, leads_to=leads_to)
    return response


def see_other(url: str) -> web.Response:
    """303: what was a POST goes on as a GET (RFC 9110 §15.4.4)."""
    response = web.Response(status=303, headers={"Location": url})
    dress(response)
    return response


def problem_of(error: GatewayError) -> Problem:
    """A refusal, in the words of the pages."""
    return _BY_STATUS.get(error.status, Problem.UNAVAILABLE if error.status >= 500 else Problem.BAD_REQUEST)


def from_own_page(request: web.Request) -> bool:
    """Whether a form came from a page of ours, as far as the browser tells (Fetch Metadata)."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}
