"""A token is believed for as long as everything that it rests on; who looks, how often, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.core.consent import Grant
from gateway.errors import ConsentExpired, ConsentRevoked, GatewayError, TokenInvalid, UpstreamUnavailable
from gateway.exchange.liveness import LOOK_SECONDS, LOOKS_MAX, Liveness
from gateway.oauth.access_token import AccessToken
from gateway.oauth.grant import Ended, Revocation
from gateway.ports import Announced, Clock
from tests.fakes import FakeClock
from tests.fakes_flows import Gate, token
from tests.oauth_clients import ISSUER
from tests.samples import NOW


class Announcements:
    """`ports.Revocations`, in memory."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.rows: list[Revocation] = []
        self.newest = 0
        self.looks: list[int] = []  # behind which sequence
        self.broken = False
        self.gate: Gate | None = None
        self.takes: list[float] = []  # how long the next looks take, by this clock

    def add(self, kind: str, value: str, reason: Ended, *, until: int = NOW + 3_600) -> None:
        self.newest += 1
        self.rows.append(Revocation(sequence=self.newest, kind=kind, value=value, reason=reason, until=until))

    def go_back(self, newest: int) -> None:
        """As a database does that is restored from before, or whose standby had not seen the last commits."""
        self.rows = [row for row in self.rows if row.sequence <= newest]
        self.newest = newest

    async def revocations(self, *, after: int, now: int) -> Announced:
        self.looks.append(after)
        rows = [row for row in self.rows if row.sequence > after and row.until > now]
        told = Announced(rows=rows, newest=self.newest)  # from here on, the answer is under way
        await asyncio.sleep(0)  # others come in between
        if self.gate is not None:
            await self.gate()
        if self.broken:
            raise UpstreamUnavailable()
        if self.takes:
            self.clock.advance(self.takes.pop(0))
        return told

    async def revoke_token(self, token_id: str, *, until: int, records: Sequence[Any]) -> None:
        self.add("token", token_id, Ended.TOKEN_REVOKED, until=until)


def replica(announced: Announcements, clock: Clock) -> Liveness:
    return Liveness(revocations=announced, clock=clock, own_issuer=ISSUER)


def consent_token(*consents: str, **changes: Any) -> AccessToken:
    grants = tuple(Grant(consent_id=name, expire_time=NOW + 100) for name in consents)
    ours = {"issuer": ISSUER, "token_id": "jti-1", "grant_id": "grant-1", "grants": grants}
    return token(**(ours | changes))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def announced(clock: FakeClock) -> Announcements:
    return Announcements(clock)


@pytest.fixture
def liveness(announced: Announcements, clock: FakeClock) -> Liveness:
    return replica(announced, clock)


async def test_a_token_of_which_nothing_was_announced_lives(announced: Announcements, liveness: Liveness) -> None:
    announced.add("consent", "another", Ended.CONSENT_REVOKED)
    announced.add("consent", "jti-1", Ended.CONSENT_REVOKED)  # a name is of its kind
    await liveness.check(consent_token("consent-1"))
    assert announced.looks == [0]


@pytest.mark.parametrize(
    ("what", "reason", "refusal"),
    [
        (("token", "jti-1"), Ended.TOKEN_REVOKED, TokenInvalid),
        (("grant", "grant-1"), Ended.GRANT_REVOKED, TokenInvalid),
        (("grant", "grant-1"), Ended.CODE_REUSED, TokenInvalid),
        (("consent", "consent-1"), Ended.CONSENT_REVOKED, ConsentRevoked),
        (("consent", "consent-1"), Ended.CONSENT_EXPIRED, ConsentExpired),
        (("grant", "grant-1"), Ended.CONSENT_REVOKED, ConsentRevoked),
    ],
)
async def test_what_was_announced_ends_the_token_for_its_reason(
    announced: Announcements, liveness: Liveness, what: tuple[str, str], reason: Ended, refusal: type[GatewayError]
) -> None:
    announced.add(*what, reason)
    with pytest.raises(refusal) as refused:
        await liveness.check(consent_token("consent-1"))
    if refusal is TokenInvalid:
        assert refused.value.private == reason.value.lower()


async def test_a_token_of_no_consent_ends_by_its_own_id_only(announced: Announcements, liveness: Liveness) -> None:
    machine = token(token_id="jti-1")
    announced.add("grant", "", Ended.GRANT_REVOKED)
    await liveness.check(machine)
    announced.add("token", "jti-1", Ended.TOKEN_REVOKED)
    liveness.look_again()
    with pytest.raises(TokenInvalid):
        await liveness.check(machine)


async def test_a_token_of_several_consents_lives_as_long_as_one_of_them(
    announced: Announcements, liveness: Liveness
) -> None:
    several = consent_token("consent-1", "consent-2")
    announced.add("consent", "consent-1", Ended.CONSENT_REVOKED)
    await liveness.check(several)
    announced.add("consent", "consent-2", Ended.CONSENT_EXPIRED)
    liveness.look_again()
    with pytest.raises(ConsentRevoked):
        await liveness.check(several)


async def test_a_consents_time_needs_no_announcement(liveness: Liveness, clock: FakeClock) -> None:
    timed, timeless = consent_token("consent-1"), consent_token(grants=(Grant(consent_id="consent-1"),))
    clock.advance(99)
    await liveness.check(timed)
    clock.advance(1)
    with pytest.raises(ConsentExpired):
        await liveness.check(timed)
    await liveness.check(timeless)  # the consent's row is asked where it is used


@pytest.mark.parametrize("own_issuer", [ISSUER, None])
async def test_another_issuer_may_say_what_it_likes_about_a_consents_time(
    announced: Announcements, clock: FakeClock, own_issuer: str | None
) -> None:
    """Also where it calls its grants as we do: the consent's row is asked where it is used."""
    liveness = Liveness(revocations=announced, clock=clock, own_issuer=own_issuer)
    clock.advance(100)
    await liveness.check(consent_token("consent-1", issuer="https://other.example"))
    announced.add("consent", "consent-1", Ended.CONSENT_REVOKED)
    clock.advance(LOOK_SECONDS)
    with pytest.raises(ConsentRevoked):
        await liveness.check(consent_token("consent-1", issuer="https://other.example"))


async def test_a_token_of_ours_ends_with_its_consent_whatever_else_it_says(
    liveness: Liveness, clock: FakeClock
) -> None:
    clock.advance(100)
    with pytest.raises(ConsentExpired):
        await liveness.check(consent_token("consent-1", grant_id=None))


async def test_another_replica_sees_it_at_its_next_look(
    announced: Announcements, liveness: Liveness, clock: FakeClock
) -> None:
    believed = consent_token("consent-1")
    await liveness.check(believed)
    announced.add("consent", "consent-1", Ended.CONSENT_REVOKED)
    clock.advance(LOOK_SECONDS - 0.01)
    await liveness.check(believed)
    clock.advance(0.01)
    with pytest.raises(ConsentRevoked):
        await liveness.check(believed)
    assert announced.looks == [0, 0]
    assert LOOK_SECONDS < 1  # what is promised, with room for the way


async def test_the_next_look_goes_on_behind_the_last_one(
    announced: Announcements, liveness: Liveness, clock: FakeClock
) -> None:
    for number in range(3):
        announced.add("token", f"other-{number}", Ended.TOKEN_REVOKED)
        await liveness.check(token())
        clock.advance(LOOK_SECONDS)
    assert announced.looks == [0, 1, 2]


async def test_after_the_database_went_back_its_numbers_are_read_again(
    announced: Announcements, liveness: Liveness, clock: FakeClock
) -> None:
    for number in range(3):
        announced.add("token", f"before-{number}", Ended.TOKEN_REVOKED)
    await liveness.check(token())
    announced.go_back(1)
    announced.add("token", "jti-1", Ended.TOKEN_REVOKED)  # its number was another's
    clock.advance(LOOK_SECONDS)
    with pytest.raises(TokenInvalid):
        await liveness.check(token(token_id="jti-1"))
    with pytest.raises(TokenInvalid):  # what was lost there is known here
        await liveness.check(token(token_id="before-2"))
    clock.advance(LOOK_SECONDS)
    await liveness.check(token())
    assert announced.looks == [0, 3, 0, 2]


async def test_the_process_that_announced_it_sees_it_at_once(announced: Announcements, liveness: Liveness) -> None:
    await liveness.check(consent_token("consent-1"))
    announced.add("consent", "consent-1", Ended.CONSENT_REVOKED)
    liveness.look_again()
    with pytest.raises(ConsentRevoked):
        await liveness.check(consent_token("consent-1"))


async def test_requests_that_come_together_share_one_look(announced: Announcements, liveness: Liveness) -> None:
    announced.gate = Gate()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(liveness.check(token()))
        await announced.gate.reached.wait()
        announced.gate.opened.set()
    assert announced.looks == [0]


async def test_what_was_announced_during_a_look_is_seen_by_the_next(
    announced: Announcements, liveness: Liveness
) -> None:
    """This process revokes while a request's look is under way: that look's age must not hide the revocation."""
    announced.gate = gate = Gate()
    announced.add("token", "unrelated", Ended.TOKEN_REVOKED)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(liveness.check(token()))
        await gate.reached.wait()
        liveness.look_again()
        gate.opened.set()
    announced.gate = None
    announced.add("token", "jti-1", Ended.TOKEN_REVOKED)
    with pytest.raises(TokenInvalid):
        await liveness.check(token(token_id="jti-1"))


async def test_a_slow_look_is_made_again(announced: Announcements, liveness: Liveness) -> None:
    announced.takes = [LOOK_SECONDS, 3.0, LOOK_SECONDS - 0.01]
    await liveness.check(token())
    assert len(announced.looks) == LOOKS_MAX == 3


async def test_what_was_announced_during_a_slow_look_is_seen(announced: Announcements, liveness: Liveness) -> None:
    announced.gate, announced.takes = Gate(), [3.0]
    checking = asyncio.gather(liveness.check(token(token_id="jti-1")), return_exceptions=True)
    await announced.gate.reached.wait()
    announced.add("token", "jti-1", Ended.TOKEN_REVOKED)
    announced.gate.opened.set()
    [result] = await checking
    assert isinstance(result, TokenInvalid)


async def test_when_every_look_is_too_slow_nobody_can_tell(announced: Announcements, liveness: Liveness) -> None:
    announced.takes = [LOOK_SECONDS] * 4
    with pytest.raises(UpstreamUnavailable) as refused:
        await liveness.check(token())
    assert refused.value.private == "no_recent_look"
    assert len(announced.looks) == LOOKS_MAX


async def test_requests_that_come_together_share_slow_looks_too(announced: Announcements, liveness: Liveness) -> None:
    announced.takes = [LOOK_SECONDS] * 40
    results = await asyncio.gather(*(liveness.check(token()) for _ in range(10)), return_exceptions=True)
    assert {type(one) for one in results} == {UpstreamUnavailable}
    assert len(announced.looks) == LOOKS_MAX


async def test_requests_that_come_together_share_an_outage(announced: Announcements, liveness: Liveness) -> None:
    announced.broken = True
    results = await asyncio.gather(*(liveness.check(token()) for _ in range(10)), return_exceptions=True)
    assert {type(one) for one in results} == {UpstreamUnavailable}
    assert len(announced.looks) == LOOKS_MAX


async def test_a_process_that_announces_all_the_time_still_believes(
    announced: Announcements, liveness: Liveness
) -> None:
    for _ in range(20):
        announced.gate = gate = Gate()
        async with asyncio.TaskGroup() as tasks:
            checks = [tasks.create_task(liveness.check(token())) for _ in range(5)]
            await gate.reached.wait()
            liveness.look_again()
            gate.opened.set()
        assert all(check.exception() is None for check in checks)


async def test_while_nobody_can_tell_nothing_is_believed(
    announced: Announcements, liveness: Liveness, clock: FakeClock
) -> None:
    await liveness.check(token())
    announced.broken = True
    await liveness.check(token())  # the last look is young enough
    clock.advance(LOOK_SECONDS)
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable):
            await liveness.check(token())
    announced.broken = False
    await liveness.check(token())


async def test_what_no_token_can_outlive_is_forgotten(
    announced: Announcements, liveness: Liveness, clock: FakeClock
) -> None:
    for number in range(2_000):
        announced.add("token", f"short-{number}", Ended.TOKEN_REVOKED, until=NOW + 10)
    announced.add("token", "long", Ended.TOKEN_REVOKED)
    await liveness.check(token())
    clock.advance(10)
    for number in range(2_000):
        announced.add("token", f"more-{number}", Ended.TOKEN_REVOKED)
    await liveness.check(token(token_id="short-1"))
    with pytest.raises(TokenInvalid):
        await liveness.check(token(token_id="long"))
