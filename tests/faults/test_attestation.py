"""Witnesses and time-stamps that stay away, come back, or know better: what the gateway says, refuses, and recovers."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.sandbox.world import World
from gateway.audit import note
from tests.live_sandbox import Permission, Scene, configured, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


def audit_section(world: World) -> dict[str, Any]:
    section: dict[str, Any] = yaml.safe_load((world.folder / "gateway.yaml").read_bytes())["audit"]
    return section


def checkpoint(world: World) -> tuple[int, set[str]]:
    """Size of the published checkpoint, and who signed it."""
    keys = [note.verifier_key(one) for one in (world.description["audit"]["vkey"], witness_key(world))]
    parsed = note.parse((world.folder / "audit/log/checkpoint").read_bytes())
    return note.checkpoint(parsed.text).size, {found.key.name for found in note.verify(parsed, keys)}


def witness_key(world: World) -> str:
    return str(world.description["audit"]["witness"]["vkey"])


async def asked(scene: Scene, permission: Permission) -> tuple[int, str | None]:
    reply = await scene.ask(permission, scene.unregistered(), wait_seconds=10)
    return reply.status, reply.code


async def refused(scene: Scene, permission: Permission) -> bool:
    """Whether a question is refused now, for the audit log alone."""
    status, code = await asked(scene, permission)
    assert (status, code) == (503, "AUDIT_UNAVAILABLE") or status < 300
    return status == 503


async def answered(scene: Scene, permission: Permission) -> bool:
    return not await refused(scene, permission)


async def test_without_a_quorum_the_limit_refuses_and_the_witness_back_heals(scene: Scene) -> None:
    witnesses = audit_section(scene.world)["witnesses"] | {"refuse_after_seconds": 1}
    permission = await scene.permission(max_uses=1_000)
    async with configured(scene.world, {"audit": {"witnesses": witnesses}}):
        assert await asked(scene, permission) == (200, None)
        await eventually(lambda: both_signed(scene))
        await scene.world.stop_witness()
        try:
            assert await asked(scene, permission) == (200, None)  # within the limit
            await eventually(lambda: refused(scene, permission))
            assert (await scene.ops("/readyz"))[0] == 503
            assert (await scene.metric("cdi_audit_witnessed_lag_seconds") or 0) > 1
            sample = 'cdi_audit_witness_failures_total{witness="sandbox.example/witness"}'
            assert (await scene.metric(sample) or 0) >= 1
            assert scene.logged("audit.quorum_missed")
            assert scene.logged("audit.witness_failed")[-1]["reason"] == "unreachable"
            # What is published goes on, with the log's own signature.
            assert checkpoint(scene.world)[1] == {"sandbox.example/audit"}
            assert note.parse((scene.world.folder / "audit/log/witnessed").read_bytes())
        finally:
            await scene.world.start_witness()
        await eventually(lambda: answered(scene, permission))
        await eventually(lambda: both_signed(scene))
        assert await scene.metric("cdi_audit_witnessed_lag_seconds") == 0
        assert scene.logged("audit.quorum_reached")


async def both_signed(scene: Scene) -> bool:
    return checkpoint(scene.world)[1] == {"sandbox.example/audit", "sandbox.example/witness"}


async def test_a_restart_does_not_forget_that_witnesses_are_missing(scene: Scene) -> None:
    witnesses = audit_section(scene.world)["witnesses"] | {"refuse_after_seconds": 2}
    permission = await scene.permission(max_uses=1_000)
    async with configured(scene.world, {"audit": {"witnesses": witnesses}}):
        await eventually(lambda: both_signed(scene))
        await scene.world.stop_witness()
        try:
            assert await asked(scene, permission) == (200, None)
            await eventually(lambda: refused(scene, permission))
            await scene.world.kill_gateway()
            scene.world.gateway.start()  # it listens, and is not ready
            await eventually(lambda: listening(scene))
            assert await refused(scene, permission)
        finally:
            await scene.world.start_witness()
            await scene.world.wait_gateway()
        await eventually(lambda: answered(scene, permission))


async def listening(scene: Scene) -> bool:
    return (await scene.ops("/livez"))[0] == 200


async def test_a_log_and_its_folder_put_back_together_are_noticed_by_the_witness(scene: Scene, tmp_path: Path) -> None:
    """Nothing that the gateway has can tell: its own checkpoint went back with its entries."""
    world = scene.world
    witnesses = audit_section(world)["witnesses"] | {"refuse_after_seconds": 1}
    permission = await scene.permission(max_uses=1_000)
    async with configured(world, {"audit": {"witnesses": witnesses}}):
        await world.stop_gateway()
        await asyncio.to_thread(save, world, tmp_path / "before")
        await world.start_gateway()
        for _ in range(5):
            assert await asked(scene, permission) == (200, None)
        await world.stop_gateway()
        await asyncio.to_thread(save, world, tmp_path / "after")
        count = len(scene.logged("audit.witness_conflict"))
        try:
            await asyncio.to_thread(put_back, world, tmp_path / "before")
            world.gateway.start()
            await eventually(lambda: listening(scene))
            await eventually(lambda: conflicts(scene, count))
            assert scene.logged("audit.witness_conflict")[-1]["reason"] == "ahead"
            await eventually(lambda: refused(scene, permission))
        finally:
            await world.stop_gateway()
            await asyncio.to_thread(put_back, world, tmp_path / "after")
            await world.start_gateway()
        await eventually(lambda: answered(scene, permission))


async def conflicts(scene: Scene, before: int) -> bool:
    return len(scene.logged("audit.witness_conflict")) > before


def save(world: World, folder: Path) -> None:
    folder.mkdir()
    shutil.copytree(world.folder / "audit/log", folder / "log")
    for file in (world.folder / "data").glob("audit.db*"):
        shutil.copy2(file, folder)


def put_back(world: World, folder: Path) -> None:
    shutil.rmtree(world.folder / "audit/log")
    shutil.copytree(folder / "log", world.folder / "audit/log")
    for file in (world.folder / "data").glob("audit.db*"):
        file.unlink()
    for file in folder.glob("audit.db*"):
        shutil.copy2(file, world.folder / "data")


async def test_without_time_stamps_the_limit_refuses_and_openssl_agrees_with_what_was_kept(
    scene: Scene, require_tool: Callable[..., Path]
) -> None:
    openssl = require_tool("openssl")
    world = scene.world
    assert world.timestamps is not None
    limits = {"interval_seconds": 0.5, "timeout_seconds": 1, "refuse_after_seconds": 3}
    timestamps = audit_section(world)["timestamps"] | limits
    permission = await scene.permission(max_uses=1_000)
    async with configured(world, {"audit": {"timestamps": timestamps}}):
        await eventually(lambda: answered(scene, permission))  # what the run before left is stamped first
        await eventually(lambda: stamped(scene, checkpoint(world)[0]))
        await world.timestamps.stop(grace_seconds=5)
        try:
            assert await asked(scene, permission) == (200, None)
            await eventually(lambda: refused(scene, permission))
            assert (await scene.metric("cdi_audit_timestamped_lag_seconds") or 0) > 3
            assert scene.logged("audit.timestamp_failed")[-1]["reason"] == "timestamp_unreachable"
        finally:
            world.timestamps.start()
        await eventually(lambda: answered(scene, permission))
        kept = sorted((world.folder / "audit/log/timestamps").glob("*.tsr"))
        assert len(kept) >= 2
        for token in kept:
            command = [str(openssl), "ts", "-verify", "-in", str(token), "-data", str(token.with_suffix(".checkpoint"))]
            command += ["-CAfile", str(world.folder / "pki/timestamps-ca.pem")]
            done = await asyncio.to_thread(subprocess.run, command, check=False, capture_output=True)
            assert done.returncode == 0, done.stderr


async def stamped(scene: Scene, size: int) -> bool:
    found = (scene.world.folder / "audit/log/timestamps").glob("*.tsr")
    return max((int(file.stem) for file in found), default=0) >= size
