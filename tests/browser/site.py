"""A small site with every page of the data owner on it, under the product's own headers."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from gateway.http.browser import page
from gateway.pages.languages import Language
from gateway.pages.pages import Pages
from tests import owner_pages


@dataclass(slots=True)
class Site:
    """Every page under `/<language>/<name>`, and the forms that were sent."""

    pages: Pages = field(default_factory=owner_pages.pages)
    sent: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)  # further pages of one test, by name
    address: str = ""

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.get(self.pages.stylesheet.path, self._stylesheet),
                web.get("/{language}/{name}", self._page),
                web.post("/{path:.*}", self._form),
            ]
        )
        return application

    def url(self, name: str, language: Language = Language.EN) -> str:
        return f"{self.address}/{language.value}/{name}"

    def names(self) -> list[str]:
        return [name for name, _ in owner_pages.every(self.pages, Language.EN)]

    async def _page(self, request: web.Request) -> web.Response:
        every = dict(owner_pages.every(self.pages, Language(request.match_info["language"]))) | self.extra
        return page(every[request.match_info["name"]])

    async def _stylesheet(self, _: web.Request) -> web.Response:
        return web.Response(body=self.pages.stylesheet.body, content_type="text/css")

    async def _form(self, request: web.Request) -> web.Response:
        given = {name: str(value) for name, value in (await request.post()).items()}
        self.sent.append((request.path, given))
        return page(self.pages.signed_out(owner_pages.stranger(), href="/login"))
