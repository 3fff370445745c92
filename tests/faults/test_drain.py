"""SIGTERM under load: not ready any more, nothing new, everything begun is answered, and what is open goes on later."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import aiohttp
import pytest

from tests.live_sandbox import Issued, Permission, Scene, Upload, eventually, session_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_runs_at_sigterm_is_finished_and_answered(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission(max_uses=40)
    await scene.world.control.faults("delay", delay_seconds=0.7)
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(scene.ask(permission, document, wait_seconds=10)) for _ in range(40)]
        assert await eventually(lambda: _arrived(scene, document, 40))
        scene.world.gateway.signal(signal.SIGTERM)
    replies = [one.result() for one in asked]
    assert {(reply.status, reply.json["verification"]["outcome"]) for reply in replies} == {(200, "MATCH")}
    assert {reply.headers.get("Connection") for reply in replies} == {"close"}
    await _assert_ended_well(scene)

    await scene.world.start_gateway()
    assert (await scene.consent(permission))["usage"]["used"] == 40


async def test_a_draining_gateway_is_not_ready_and_takes_nothing_new(scene: Scene) -> None:
    """A file that is still arriving keeps the process there for as long as the test looks at it."""
    upload = Upload(scene)
    async with session_of(scene) as session, asyncio.TaskGroup() as tasks:
        uploading = tasks.create_task(upload.send(session))
        await upload.under_way()
        scene.world.gateway.signal(signal.SIGTERM)
        assert await eventually(lambda: _ready_is(scene, 503))
        assert (await scene.ops("/livez"))[0] == 200
        assert await eventually(lambda: _refuses(scene))
        assert not uploading.done()
        upload.finish()
    await _assert_ended_well(scene)


async def test_who_waits_is_answered_and_what_is_open_goes_on_after_the_start(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission(max_uses=20)
    first = await scene.ask(permission, await scene.issued(), wait_seconds=10)
    assert first.json["verification"]["outcome"] == "MATCH"
    cursor = await _cursor(scene)
    await scene.world.control.faults("outage")
    sent = asyncio.Event()
    async with session_of(scene, sent=sent) as session, asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(scene.ask(permission, document, wait_seconds=60)) for _ in range(10)]
        listening = tasks.create_task(_listen(session, scene, cursor))
        await sent.wait()
        assert await eventually(lambda: _all_judged(scene, permission, 10))
        scene.world.gateway.signal(signal.SIGTERM)
    replies = [one.result() for one in asked]
    assert {(reply.status, reply.json["verification"]["reason"]) for reply in replies} == {
        (202, "REGISTRY_UNAVAILABLE")
    }
    assert listening.result() == {"notices": [], "next": cursor}
    await _assert_ended_well(scene)

    await scene.world.control.faults("none")
    await scene.world.start_gateway()
    finals = await asyncio.gather(*(scene.final(reply.json["dataRequestId"]) for reply in replies))
    assert {one["verification"]["outcome"] for one in finals} == {"MATCH"}
    assert await scene.used(permission) == 11
    assert len({entry["requestId"] for entry in await scene.journalled(document)}) == 10


async def _assert_ended_well(scene: Scene) -> None:
    gateway = scene.world.gateway
    assert await eventually(lambda: _ended(scene))
    assert gateway.exit_code == 0, gateway.tail()
    assert scene.audited()[-1]["type"] == "service.stopped"
    assert scene.logged("service.stopped")[-1]["status"] == 0
    assert not scene.logged("listener.cut")


async def _arrived(scene: Scene, document: Issued, count: int) -> bool:
    return len(await scene.journalled(document)) == count


async def _ended(scene: Scene) -> bool:
    return not scene.world.gateway.running


async def _ready_is(scene: Scene, status: int) -> bool:
    return (await scene.ops("/readyz"))[0] == status


async def _all_judged(scene: Scene, permission: Permission, count: int) -> bool:
    found = await scene.bank.call("GET", "/cdi/v1/data-requests?status=DataRequestApproved", token=scene.token)
    mine = [one for one in found.json["dataRequests"] if one["consentId"] == permission.consent_id]
    return len(mine) == count


async def _refuses(scene: Scene) -> bool:
    async with session_of(scene) as session:
        try:
            async with session.get(f"{scene.bank.url}/cdi/v1/consents"):
                return False
        except aiohttp.ClientConnectorError:
            return True


async def _cursor(scene: Scene) -> int:
    cursor = 0
    while (page := (await scene.bank.notices(token=scene.token, after=cursor)).json)["notices"]:
        cursor = page["next"]
    return cursor


async def _listen(session: aiohttp.ClientSession, scene: Scene, after: int) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {scene.token}"}
    url = f"{scene.bank.url}/cdi/v1/notices?after={after}&wait=60"
    async with session.get(url, headers=headers) as response:
        assert response.status == 200
        return dict(await response.json())
