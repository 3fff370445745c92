"""A data owner of the sandbox with a browser of their own: signs in, decides, looks at the consents, revokes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from adapters.sandbox.browser import Browser
from adapters.sandbox.page import Page
from adapters.sandbox.serving import client_context


class DataOwner:
    """Stays signed in as long as the pages allow it. Use as an async context manager.

    One thing at a time, as a person does: calls wait for each other. All raise BrowserStopped.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any], owner_id: str, *, language: str = "en") -> None:
        """`description`: the content of `folder/sandbox.json`. Raises KeyError for an unknown owner."""
        account = {owner["id"]: owner for owner in description["owners"]}[owner_id]
        self.owner_id = owner_id
        self._account = account["login"], account["password"]
        self._pages: str = description["listeners"]["consent"]
        self._browser = Browser(client_context(folder / description["ca"]), language=language)
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._browser.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._browser.__aexit__()

    async def decide(self, url: str, redirect_uri: str, *, approve: bool = True) -> dict[str, str]:
        """Approve or refuse what an authorization URL asks for; what the client is told by redirect."""
        async with self._one_at_a_time:
            return await self._browser.authorize(url, redirect_uri, *self._account, approve=approve)

    @property
    def shown(self) -> list[Page]:
        """The pages that this person saw last, oldest first."""
        return list(self._browser.shown)

    async def consents(self) -> Page:
        """The list of one's consents."""
        return await self._look("/consents")

    async def consent(self, consent_id: str) -> Page:
        return await self._look(f"/consents/{consent_id}")

    async def revoke(self, consent_id: str) -> Page:
        """The page that is shown behind it."""
        async with self._one_at_a_time:
            return await self._browser.revoke(f"{self._pages}/consents/{consent_id}", *self._account)

    async def _look(self, path: str) -> Page:
        async with self._one_at_a_time:
            return await self._browser.page(self._pages + path, *self._account)
