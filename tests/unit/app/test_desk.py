"""A deployment's log, opened beside a running gateway."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from adapters.sql import migrations
from gateway.app.desk import open_desk, user_name
from gateway.core.pseudonym import pseudonym
from gateway.settings import Settings, load
from tests import samples

EXAMPLES = Path(__file__).parents[3] / "config"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for name in ("gateway.yaml", "participants.yaml"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    settings = settings_of(tmp_path / "gateway.yaml")
    for file in (settings.secrets.pseudonym_key_file, settings.secrets.storage_key_file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"k" * 32)
        file.chmod(0o600)
    migrations.upgrade(settings.audit.url, "audit")
    migrations.upgrade(settings.audit.index_url, "index")
    return tmp_path / "gateway.yaml"


def settings_of(config: Path) -> Settings:
    settings, _ = load(config, environment={}, check_files=False)
    return settings


async def test_two_desks_append_to_one_log(config: Path) -> None:
    async with open_desk(config) as one, open_desk(config) as other:
        for desk in (one, other, one):
            await desk.audit.append([samples.record()])
        assert (await other.audit.head()).size == 3
        assert one.audit.healthy()
        assert other.audit.healthy()


async def test_a_desk_knows_who_acts_and_for_whom(config: Path) -> None:
    async with open_desk(config) as desk:
        assert desk.operator.name == pwd.getpwuid(os.getuid()).pw_name
        assert desk.operator.participant == settings_of(config).deployment.participant_id
        assert desk.keyed("subject", "owner-7") == pseudonym(b"k" * 32, "subject", "owner-7")


async def test_the_environment_does_not_say_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert user_name() != "somebody-else"
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)  # no such user, as in many containers
    assert user_name() == "uid:4000000000"


async def test_a_search_at_the_desk_brings_the_index_up_to_date(config: Path) -> None:
    async with open_desk(config) as desk:
        await desk.audit.append([samples.record() for _ in range(3)])
        assert await desk.indexer.catch_up(3, seconds=60.0) == 3
        one = await desk.reading().show(1)
        assert one is not None
