"""Who a client turned out to be, as records name them; and that a form is in no log."""

from __future__ import annotations

from tests.fakes_authorization import Server
from tests.fakes_flows import certificate
from tests.samples import BANK


async def test_a_record_names_participant_client_and_certificate(server: Server) -> None:
    actor = server.caller().actor
    assert (actor.participant, actor.client, actor.role) == (BANK, "bank-a", "bank")
    assert actor.certificate == certificate(BANK).sha256
    assert server.caller(certified=False).actor.certificate is None


async def test_no_parameter_is_in_the_repr(server: Server) -> None:
    assert "canary" not in repr(server.presented(client_assertion="canary", code="canary"))
