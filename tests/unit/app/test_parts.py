"""The parts are opened from the settings and given back at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from adapters.sandbox.cast import PLATFORM_ID
from adapters.sandbox.credentials import GATEWAY_MESSAGE_KEY
from adapters.sql import engine as engines
from adapters.sql.audit import AuditLogDamaged
from gateway.app.parts import open_parts
from gateway.errors import AuditUnavailable, TokenInvalid, UpstreamUnavailable
from gateway.exchange.recording import record
from tests import samples
from tests.fakes_app import Events, log_to, make_place


async def test_everything_is_open_and_is_closed_behind_the_block(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with open_parts(*place.loaded(), log_to(Events())) as parts:
        assert parts.store.healthy()
        assert parts.audit.healthy()
        assert set(parts.roster.platforms) == set(parts.signers) == {PLATFORM_ID}
        assert parts.signers[PLATFORM_ID].key_id == GATEWAY_MESSAGE_KEY
        (position,) = await parts.audit.append([record(parts.clock.now(), "service.started")])
        assert position.index == 0
        with pytest.raises(TokenInvalid):
            await parts.tokens.verify("not.a.token")
    with pytest.raises(AuditUnavailable):
        await parts.audit.append([record(parts.clock.now(), "service.stopped")])
    with pytest.raises(UpstreamUnavailable):
        await parts.store.consent("any")


async def test_the_log_of_another_deployment_is_not_continued(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with open_parts(*place.loaded(), log_to(Events())) as parts:
        await parts.audit.append([record(parts.clock.now(), "service.started")])
    settings, participants = place.loaded()
    renamed = settings.model_copy(update={"audit": settings.audit.model_copy(update={"origin": "another.example"})})
    with pytest.raises(AuditLogDamaged):
        async with open_parts(renamed, participants, log_to(Events())):
            pytest.fail("opened")


async def test_a_damaged_key_of_a_data_owner_is_an_alarm(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    about = [samples.record(consent=samples.consent(subject=letter * 64)) for letter in "ab"]
    async with open_parts(*place.loaded(), log_to(Events())) as parts:
        await parts.audit.append(about)
    with engines.create(place.loaded()[0].audit.url).connect() as connection, connection.begin():
        broken = text("UPDATE subject_keys SET wrapped = x'00' WHERE subject = :subject RETURNING key_id")
        key_id = connection.execute(broken, {"subject": "a" * 64}).scalar_one()
    events = Events()
    async with open_parts(*place.loaded(), log_to(events)) as parts:
        await parts.audit.append(about)
    [alarm] = [line for line in events.lines if line["event"] == "audit.key_damaged"]
    assert (alarm["level"], alarm["name"]) == ("error", key_id)


async def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    (tmp_path / "gateway/keys/storage.key").chmod(0o644)
    with pytest.raises(ValueError, match="storage"):
        async with open_parts(*place.loaded(), log_to(Events())):
            pytest.fail("opened")
