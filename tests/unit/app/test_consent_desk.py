"""A deployment's consents, opened beside a running gateway."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from adapters.sql import migrations
from gateway.app.consent_desk import open_consent_desk
from gateway.app.desk import open_desk
from gateway.app.parts import open_parts
from gateway.core.model import ConsentStatus
from gateway.errors import ConsentRevoked
from gateway.exchange.liveness import LOOK_SECONDS, Liveness
from gateway.ports import ConsentStep
from tests import samples
from tests.fakes import FakeClock
from tests.fakes_app import Events, log_to, make_place
from tests.fakes_flows import full_grant, token

LIFETIME_SECONDS = 86_400


async def test_what_is_revoked_at_the_desk_ends_in_the_running_gateway(tmp_path: Path) -> None:
    place = make_place(tmp_path, {"oauth": {"lifetime_seconds_max": LIFETIME_SECONDS}})
    async with open_parts(*place.loaded(), log_to(Events())) as parts:
        consent = await parts.store.submit(lambda _: ConsentStep(consent=samples.consent()), samples.idempotency())
        clock = FakeClock(parts.clock.now())
        liveness = Liveness(revocations=parts.state, clock=clock)
        believed = token(grants=(full_grant(consent, expire_time=None),))
        await liveness.check(believed)
        async with open_consent_desk(place.config) as desk:
            revoked = await desk.owned.revoke_as(desk.actor, consent.consent_id, "LEGAL_ORDER")
        assert revoked.status is ConsentStatus.REVOKED
        assert await parts.store.consent(consent.consent_id) == revoked
        clock.advance(LOOK_SECONDS)
        with pytest.raises(ConsentRevoked):
            await liveness.check(believed)
        replica = Liveness(revocations=parts.state, clock=clock)
        clock.advance(LIFETIME_SECONDS)  # as long as a token may live, also one that starts now has to know
        with pytest.raises(ConsentRevoked):
            await replica.check(believed)
        [notice] = await parts.store.notices(consent.consumer_id, after=0, limit=10)
        assert (notice.type, notice.detail) == ("CONSENT_REVOKED", "LEGAL_ORDER")


async def test_the_record_names_who_sits_at_the_desk(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with open_consent_desk(place.config) as desk:
        consent = await desk.store.submit(lambda _: ConsentStep(consent=samples.consent()), samples.idempotency())
        await desk.owned.revoke_as(desk.actor, consent.consent_id, "OTHER")
    async with open_desk(place.config) as reading:
        [stored] = await reading.audit.entries(0, 10)
        entry = orjson.loads(stored.entry or b"")
        assert (entry["type"], entry["actor"]) == (
            "consent.revoked",
            {
                "participant": reading.settings.deployment.participant_id,
                "role": "operator",
                "client": reading.operator.name,
            },
        )


async def test_an_outdated_store_is_refused(tmp_path: Path) -> None:
    place = make_place(tmp_path, migrated=False)
    settings, _ = place.loaded()
    migrations.upgrade(settings.audit.url, "audit")
    migrations.upgrade(settings.audit.index_url, "index")
    with pytest.raises(migrations.SchemaOutdated):
        async with open_consent_desk(place.config):
            pytest.fail("opened")
