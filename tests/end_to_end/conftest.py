"""One world for all end-to-end tests that leave it as it was; starting one takes seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.sandbox.pki import self_signed
from tests.end_to_end.fapi import JAR, JWT, SELF, TLS, Fapi
from tests.end_to_end.stage import Stage, staged

# Short waits, so that what is too slow is refused soon; wide rates, so that nothing else is.
SETTINGS = {
    "limits": {"body_timeout_seconds": 2, "wait_seconds_max": 20, "digest_bytes_max": 1_048_576},
    "bank": {"header_timeout_seconds": 3},
    "rates": {"participant": {"per_second": 5_000, "burst": 10_000}, "browser": {"per_second": 5_000, "burst": 10_000}},
    # One kind of document needs an owner who signed in a short time ago (RFC 9470).
    "oauth": {"step_up": [{"document_type": "PERSONAL_CREDIT_REPORT", "max_age_seconds": 300}]},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests here share connections with their world, so they share its event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("stage") / "world", SETTINGS) as stage:
        yield stage


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fapi(stage: Stage) -> AsyncIterator[Fapi]:
    async with Fapi(stage) as fapi:
        yield fapi


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def more_clients(stage: Stage, fapi: Fapi) -> None:
    """Kinds of clients that the sandbox does not have, added while it runs."""
    own, place = self_signed(SELF, now=stage.now), f"clients/{SELF}"
    own.write(stage.folder / place / "cert.pem", stage.folder / place / "key.pem")
    fapi.add_client(JAR, {"signed_requests": True}, like=JWT)
    fapi.add_client(
        SELF,
        {"authentication": "self_signed_tls_client_auth", "certificate_files": [f"{place}/cert.pem"], "subject": None},
        like=TLS,
        certificate={"sha256": own.sha256},
    )
    fapi.clients[SELF] |= {"cert": f"{place}/cert.pem", "key": f"{place}/key.pem"}
    await stage.reload()
