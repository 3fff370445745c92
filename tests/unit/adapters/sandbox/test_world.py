"""A whole sandbox of real processes: its description, its restarts, and how it fails."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

import schemas
from adapters.sandbox.children import ChildFailed
from adapters.sandbox.world import World, WorldBusy
from tests.end_to_end.world import approved_consent, bank_of, running_world


async def test_a_restart_is_the_same_world(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        first = orjson.loads(world.description_file.read_bytes())
        sample = first["samples"][0]
        async with bank_of(world) as bank:
            consent, token = await approved_consent(world, bank, sample)
    again = World(tmp_path, schemas=schemas.load(), block_seconds=0)
    async with again, bank_of(again) as bank:
        assert again.description == first
        reply = await bank.ask(
            token=token, consent=consent, digests=sample["digests"], voucher=sample["voucher"], wait_seconds=20
        )
        assert reply.json["verification"]["outcome"] == "MATCH"
        with pytest.raises(WorldBusy):
            await World(tmp_path, schemas={}).start()


async def test_every_file_of_the_description_is_there(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        description = world.description
        files = [description["ca"], *(sample["file"] for sample in description["samples"])]
        files += [client[kind] for client in description["clients"].values() for kind in ("cert", "key")]
        assert [file for file in files if not (tmp_path / file).is_file()] == []
        assert {"bank", "consent", "partner", "ops"} <= description["listeners"].keys()
        assert {len(sample["digests"]) for sample in description["samples"]} == {2}
        await world.kill_gateway()
        with pytest.raises(ChildFailed, match="gateway ended"):
            await world.watch()


async def test_a_gateway_that_refuses_its_configuration_is_reported_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, schemas=schemas.load(), port_base=0, settings={"nonsense": {"a": 1}})
    with pytest.raises(ChildFailed, match="nonsense"):
        async with world:
            pytest.fail("it must not start")
    assert not world.description_file.exists()
    assert not world.platform.running


async def test_the_audit_log_says_who_attests_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with running_world(tmp_path / "without-openssl") as world:
        audit = world.description["audit"]
        assert audit["witness"]["vkey"].startswith("sandbox.example/witness+")
        assert "timestamps" not in audit
        await world.stop_witness()
        with pytest.raises(ChildFailed, match="witness ended"):
            await world.watch()
