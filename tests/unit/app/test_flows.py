"""The flows are built as the settings say."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.app.flows import build_flows
from gateway.app.parts import open_parts
from gateway.core.model import Role
from gateway.errors import RateLimited
from gateway.exchange.admission import Arrival
from gateway.tls import parse_certificate
from tests.fakes_app import Events, log_to, make_place
from tests.fakes_flows import INTERACTION, TRACE


async def test_admission_keeps_the_configured_rates_and_registry(tmp_path: Path) -> None:
    route = "POST /cdi/v1/data-requests"
    changes = {
        "rates": {"participant": {"per_second": 1, "burst": 9}, "routes": {route: {"per_second": 1, "burst": 1}}}
    }
    place = make_place(tmp_path, changes)
    der = place.credentials.clients["bank-a"].certificate.public_bytes(Encoding.DER)
    arrival = Arrival(certificate=parse_certificate(der), route=route, interaction=INTERACTION, trace=TRACE)
    async with (
        open_parts(*place.loaded(), log_to(Events())) as parts,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as tasks,
    ):
        flows = build_flows(parts, tasks, stack)
        admitted = await flows.admission.admit(arrival, Role.BANK)
        assert admitted.participant.participant_id == "BANKA01DC"
        assert [allowance.limit for allowance in admitted.allowances] == [9, 1]
        with pytest.raises(RateLimited):
            await flows.admission.admit(arrival, Role.BANK)
        await flows.worker.write_refusals()
    assert parts.refusals.counts() == {}


async def test_the_flows_share_one_set_of_running_verifications(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    async with (
        open_parts(*place.loaded(), log_to(Events())) as parts,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as tasks,
    ):
        flows = build_flows(parts, tasks, stack)
        assert flows.verifications.running == 0
        assert await flows.worker.round() == 0
        assert len(flows.idempotency_secret) >= 32
