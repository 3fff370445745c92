"""Who may come in: each refusal, and that the earlier one wins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.sandbox.dpop import DPoP
from gateway.core.consent import Grant
from gateway.core.model import Certificate, Participant, Rate, Role
from gateway.core.quota import Allowance
from gateway.errors import (
    CertExpired,
    CertRevoked,
    CertUnknown,
    ConsentRevoked,
    DirectionNotPermitted,
    GatewayError,
    ParticipantSuspended,
    RateLimited,
    ScopeInsufficient,
    TokenInvalid,
    TokenMissing,
    TokenNotBound,
)
from gateway.exchange.admission import Admitted, Arrival, Caller, Credentials, Refusals, rate_fields
from gateway.exchange.possession import Shown
from gateway.oauth import scopes
from tests.fakes_flows import (
    INTERACTION,
    OTHER_BANK,
    PLATFORM,
    SOURCE,
    TRACE,
    World,
    certificate,
    full_grant,
    participant,
    token,
    view,
)
from tests.samples import BANK, NOW


def arrival(shown: Certificate | None, route: str = "GET /cdi/v1/consents") -> Arrival:
    return Arrival(certificate=shown, route=route, interaction=INTERACTION, trace=TRACE)


async def admit(world: World, shown: Certificate | None = None, **changes: Any) -> Admitted:
    return await world.admission.admit(arrival(shown or certificate(BANK)), changes.get("role", Role.BANK))


async def authorise(world: World, bearer: str | None, *any_scope: str) -> Caller:
    return await present(world, None if bearer is None else Credentials(token=bearer), *any_scope)


async def present(world: World, credentials: Credentials | None, *any_scope: str) -> Caller:
    return await world.admission.authorise(await admit(world), credentials, *(any_scope or (scopes.CONSENTS,)))


def suspended(**changes: Any) -> Participant:
    return participant(BANK, active=False, **changes)


class TestCertificate:
    async def test_a_good_certificate_within_its_rate_is_admitted(self, world: World) -> None:
        admitted = await admit(world)
        assert admitted.participant.participant_id == BANK
        assert admitted.now == world.clock.now()
        assert [allowance.remaining for allowance in admitted.allowances] == [4]

    @pytest.mark.parametrize("shown", [None, certificate("nobody")])
    async def test_nobodys_certificate_is_unknown(self, world: World, shown: Certificate | None) -> None:
        with pytest.raises(CertUnknown):
            await world.admission.admit(arrival(shown), Role.BANK)

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"not_after": NOW}, CertExpired),
            ({"not_before": NOW + 1}, CertExpired),
            ({"not_before": NOW}, None),
            ({"not_after": NOW + 1}, None),
        ],
    )
    async def test_validity_has_its_first_second_and_not_its_last(
        self, world: World, changes: dict[str, int], refusal: type[GatewayError] | None
    ) -> None:
        shown = certificate(BANK, **changes)
        if refusal is None:
            assert (await admit(world, shown)).certificate == shown
        else:
            with pytest.raises(refusal):
                await admit(world, shown)

    async def test_a_revoked_certificate_is_refused_from_the_next_request_on(self, world: World) -> None:
        await admit(world)
        world.roster.view = view(revoked=frozenset({certificate(BANK).sha256}))
        with pytest.raises(CertRevoked):
            await admit(world)

    async def test_a_suspended_participant_is_refused(self, world: World) -> None:
        world.roster.view = view(suspended())
        with pytest.raises(ParticipantSuspended):
            await admit(world)

    @pytest.mark.parametrize(("owner", "role"), [(SOURCE, Role.BANK), (PLATFORM, Role.BANK), (BANK, Role.PLATFORM)])
    async def test_another_role_is_refused(self, world: World, owner: str, role: Role) -> None:
        with pytest.raises(DirectionNotPermitted):
            await admit(world, certificate(owner), role=role)

    async def test_a_bank_without_the_direction_is_refused(self, world: World) -> None:
        world.roster.view = view(participant(BANK, directions=frozenset()))
        with pytest.raises(DirectionNotPermitted):
            await admit(world)


async def test_the_earlier_refusal_wins(world: World) -> None:
    """Everything is wrong at first; each line puts one thing right and meets the next refusal."""
    wrong = {"directions": frozenset(), "rate": Rate(per_second=1, burst=1), "certificates": ()}
    expired, good = certificate(BANK, not_after=NOW), certificate(BANK)
    of_bank = participant(BANK).certificates
    revoked = frozenset({good.sha256})

    async def refused(world_view: Any, shown: Certificate, role: Role) -> str:
        world.roster.view = world_view
        with pytest.raises(GatewayError) as caught:
            await world.admission.admit(arrival(shown), role)
        return caught.value.code

    narrow = Rate(per_second=0.001, burst=1)
    in_order = [
        await refused(view(suspended(**wrong), revoked=revoked), expired, Role.SOURCE),
        await refused(view(suspended(**(wrong | {"certificates": of_bank})), revoked=revoked), expired, Role.SOURCE),
        await refused(view(suspended(directions=frozenset()), revoked=revoked), good, Role.SOURCE),
        await refused(view(suspended(directions=frozenset())), good, Role.SOURCE),
        await refused(view(participant(BANK, directions=frozenset(), rate=narrow)), good, Role.SOURCE),
        await refused(view(participant(BANK, directions=frozenset(), rate=narrow)), good, Role.BANK),
    ]
    world.roster.view = view(participant(BANK, rate=narrow))
    await world.admission.admit(arrival(good), Role.BANK)
    in_order.append(await refused(world.roster.view, good, Role.BANK))
    assert in_order == [
        "CERT_UNKNOWN",
        "CERT_EXPIRED",
        "CERT_REVOKED",
        "PARTICIPANT_SUSPENDED",
        "DIRECTION_NOT_PERMITTED",
        "DIRECTION_NOT_PERMITTED",
        "RATE_LIMITED",
    ]


class TestRate:
    async def test_the_request_above_the_rate_is_told_when_to_come_back(self, world: World) -> None:
        for _ in range(5):
            await admit(world)
        with pytest.raises(RateLimited) as refused:
            await admit(world)
        assert refused.value.retry_after_seconds == 1
        assert refused.value.headers == {
            "RateLimit-Policy": '"participant";q=5;w=1',
            "RateLimit": '"participant";r=0;t=1',
        }
        world.clock.advance(0.1)
        await admit(world)

    async def test_a_route_has_its_own_tier_and_a_refusal_takes_from_none(self, world: World) -> None:
        slow = arrival(certificate(BANK), "POST /slow")
        admitted = await world.admission.admit(slow, Role.BANK)
        assert [allowance.policy for allowance in admitted.allowances] == ["participant", "route"]
        with pytest.raises(RateLimited) as refused:
            await world.admission.admit(slow, Role.BANK)
        assert refused.value.private == "route"
        assert [allowance.remaining for allowance in (await admit(world)).allowances] == [3]

    async def test_one_banks_rate_is_not_anothers(self, world: World) -> None:
        for _ in range(5):
            await admit(world)
        assert await admit(world, certificate(OTHER_BANK))

    async def test_a_participants_own_rate_goes_before_the_default(self, world: World) -> None:
        world.roster.view = view(participant(BANK, rate=Rate(per_second=1, burst=50)))
        assert (await admit(world)).allowances[0].limit == 50

    def test_the_fields_show_all_policies_and_the_tightest_rest(self) -> None:
        def allowance(policy: str, limit: int, remaining: int) -> Allowance:
            return Allowance(
                policy=policy,
                allowed=True,
                limit=limit,
                remaining=remaining,
                reset_seconds=1.5,
                retry_after_seconds=0,
                window_seconds=10,
            )

        assert rate_fields((allowance("participant", 100, 50), allowance("route", 10, 1))) == {
            "RateLimit-Policy": '"participant";q=100;w=10, "route";q=10;w=10',
            "RateLimit": '"route";r=1;t=2',
        }


class TestToken:
    async def test_a_bound_token_with_the_scope_makes_a_caller(self, world: World) -> None:
        grant = Grant(consent_id="consent-1")
        world.tokens.known["good"] = token(grants=(grant,))
        caller = await authorise(world, "good", scopes.NOTICES, scopes.CONSENTS)
        assert caller.token.client_id == f"client-{BANK}"
        assert (caller.grant("consent-1"), caller.grant("consent-2")) == (grant, None)

    async def test_no_token_is_missing_and_an_unknown_one_invalid(self, world: World) -> None:
        with pytest.raises(TokenMissing):
            await authorise(world, None)
        with pytest.raises(TokenInvalid):
            await authorise(world, "forged")

    async def test_an_invalid_token_is_told_in_the_scheme_that_was_used(self, world: World) -> None:
        """RFC 9449 §7.1; the answer to a bearer's is made where it is rendered."""
        for dpop, challenge in ((True, 'DPoP error="invalid_token", algs="ES256 PS256 EdDSA"'), (False, None)):
            with pytest.raises(TokenInvalid) as refused:
                await present(world, Credentials(token="forged", dpop=dpop))
            assert refused.value.headers.get("WWW-Authenticate") == challenge

    async def test_a_stolen_token_is_not_bound_to_the_thiefs_certificate(self, world: World) -> None:
        world.tokens.known["stolen"] = token(OTHER_BANK)
        with pytest.raises(TokenNotBound) as refused:
            await authorise(world, "stolen")
        assert refused.value.private == "certificate"

    async def test_a_bound_token_of_another_banks_client_is_refused(self, world: World) -> None:
        world.tokens.known["mixed"] = token(client_id=f"client-{OTHER_BANK}")
        with pytest.raises(TokenNotBound) as refused:
            await authorise(world, "mixed")
        assert refused.value.private == "client"

    async def test_a_token_without_the_scope_is_told_which_one(self, world: World) -> None:
        world.tokens.known["narrow"] = token(scopes=frozenset({scopes.NOTICES}))
        with pytest.raises(ScopeInsufficient) as refused:
            await authorise(world, "narrow", scopes.DATA_REQUESTS, scopes.DATA_REQUESTS_READ)
        assert "cdi:data-requests cdi:data-requests:read" in refused.value.headers["WWW-Authenticate"]

    async def test_the_binding_is_judged_before_the_scope(self, world: World) -> None:
        world.tokens.known["both"] = token(OTHER_BANK, scopes=frozenset())
        with pytest.raises(TokenNotBound):
            await authorise(world, "both")


URL = "https://gateway.example/cdi/v1/consents"


class TestDpop:
    """A token that is bound to a key (RFC 9449 §7), and its proofs."""

    def bound(self, world: World, key: DPoP, name: str = "dpop") -> str:
        world.tokens.known[name] = token(thumbprint=None, jkt=key.thumbprint)
        return name

    def shown(self, world: World, key: DPoP, *, bearer: str = "dpop", **changes: Any) -> Credentials:
        values: dict[str, Any] = {
            "method": "GET",
            "url": URL,
            "now": int(world.clock.now()),
            "nonce": world.possession.nonce(),
            "token": bearer,
        }
        proof = key.proof(**(values | changes))
        return Credentials(token=bearer, dpop=True, shown=Shown(proof=proof, method="GET", url=URL))

    async def refusal(self, world: World, credentials: Credentials) -> TokenNotBound:
        with pytest.raises(TokenNotBound) as refused:
            await present(world, credentials)
        assert "use_dpop_nonce" in str(refused.value.headers) or "DPoP-Nonce" not in refused.value.headers
        return refused.value

    async def test_a_token_with_a_proof_of_its_key_makes_a_caller(self, world: World) -> None:
        key = DPoP()
        self.bound(world, key)
        assert (await present(world, self.shown(world, key))).token.jkt == key.thumbprint

    async def test_it_needs_no_certificate_binding_but_a_client_of_the_participant(self, world: World) -> None:
        key = DPoP()
        world.tokens.known["dpop"] = token(OTHER_BANK, thumbprint=None, jkt=key.thumbprint)
        assert (await self.refusal(world, self.shown(world, key))).private == "client"

    async def test_the_scheme_must_fit_the_binding(self, world: World) -> None:
        """RFC 9449 §7.2: a bound token that passes as a bearer's would be a downgrade; a certificate's is no DPoP's."""
        key = DPoP()
        self.bound(world, key)
        world.tokens.known["certificate"] = token()
        good = self.shown(world, key)
        for wrong in (replace(good, dpop=False), self.shown(world, key, bearer="certificate")):
            assert (await self.refusal(world, wrong)).private == "scheme"

    async def test_a_missing_proof_is_asked_for(self, world: World) -> None:
        self.bound(world, DPoP())
        refused = await self.refusal(world, Credentials(token="dpop", dpop=True))
        assert (refused.private, refused.headers["WWW-Authenticate"]) == ("no_proof", 'DPoP algs="ES256 PS256 EdDSA"')

    async def test_a_proof_of_another_key_does_not_open_it(self, world: World) -> None:
        self.bound(world, DPoP())
        assert (await self.refusal(world, self.shown(world, DPoP()))).private == "dpop_key"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"method": "POST"}, "dpop_method"),
            ({"url": "https://gateway.example/cdi/v1/notices"}, "dpop_url"),
            ({"now": NOW - 61}, "dpop_issued_at"),
            ({"token": "another"}, "dpop_token_hash"),
            ({"token": None}, "dpop_token_hash"),
        ],
    )
    async def test_a_proof_for_something_else_is_refused(
        self, world: World, changes: dict[str, Any], reason: str
    ) -> None:
        key = DPoP()
        self.bound(world, key)
        refused = await self.refusal(world, self.shown(world, key, **changes))
        assert refused.private == reason
        assert refused.headers["WWW-Authenticate"].startswith('DPoP error="invalid_dpop_proof", ')

    @pytest.mark.parametrize("nonce", [None, "A" * 43])
    async def test_a_proof_without_our_nonce_is_told_one_that_works(self, world: World, nonce: str | None) -> None:
        key = DPoP()
        self.bound(world, key)
        refused = await self.refusal(world, self.shown(world, key, nonce=nonce))
        assert refused.headers["WWW-Authenticate"].startswith('DPoP error="use_dpop_nonce", ')
        assert await present(world, self.shown(world, key, nonce=refused.headers["DPoP-Nonce"]))

    async def test_a_proof_counts_once(self, world: World) -> None:
        key = DPoP()
        self.bound(world, key)
        good = self.shown(world, key)
        await present(world, good)
        assert (await self.refusal(world, good)).private == "dpop_replayed"
        assert world.refusals.counts() == {(BANK, "TOKEN_NOT_BOUND"): 1}


class TestEnded:
    """What a token rests on is looked at on every request."""

    async def test_a_token_whose_consent_was_revoked_is_refused(self, world: World) -> None:
        consent = await world.consent()
        world.tokens.known["good"] = token(grants=(full_grant(consent),))
        await authorise(world, "good")
        await world.consents.revoke(world.caller(), consent.consent_id, "OTHER")
        with pytest.raises(ConsentRevoked):
            await authorise(world, "good")

    async def test_a_token_that_was_given_back_is_refused(self, world: World) -> None:
        world.tokens.known["good"] = token(token_id="jti-1")
        await world.state.revoke_token("jti-1", until=NOW + 300, records=())
        with pytest.raises(TokenInvalid) as refused:
            await authorise(world, "good")
        assert refused.value.private == "token_revoked"

    async def test_a_thief_is_not_told_that_it_has_ended(self, world: World) -> None:
        world.tokens.known["stolen"] = token(OTHER_BANK, token_id="jti-1")
        await world.state.revoke_token("jti-1", until=NOW + 300, records=())
        with pytest.raises(TokenNotBound):
            await authorise(world, "stolen")


class TestRefusals:
    async def test_refusals_are_counted_by_participant_and_code(self, world: World) -> None:
        for _ in range(2):
            with pytest.raises(CertUnknown):
                await world.admission.admit(arrival(None), Role.BANK)
        with pytest.raises(TokenMissing):
            await authorise(world, None)
        world.roster.view = view(suspended())
        with pytest.raises(ParticipantSuspended):
            await admit(world)
        assert world.refusals.counts() == {
            ("UNKNOWN", "CERT_UNKNOWN"): 2,
            (BANK, "TOKEN_MISSING"): 1,
            (BANK, "PARTICIPANT_SUSPENDED"): 1,
        }

    def test_what_is_written_is_forgotten_and_what_came_since_stays(self) -> None:
        refusals = Refusals()
        refusals.count(BANK, "RATE_LIMITED")
        written = refusals.counts()
        refusals.count(BANK, "RATE_LIMITED")
        refusals.count(BANK, "TOKEN_MISSING")
        refusals.forget(written)
        assert refusals.counts() == {(BANK, "RATE_LIMITED"): 1, (BANK, "TOKEN_MISSING"): 1}

    def test_the_kinds_are_bounded_and_known_ones_still_count(self) -> None:
        refusals = Refusals()
        for number in range(5_000):
            refusals.count(f"participant-{number}", "TOKEN_MISSING")
        refusals.count("participant-0", "TOKEN_MISSING")
        counts = refusals.counts()
        assert len(counts) == 4_096
        assert counts["participant-0", "TOKEN_MISSING"] == 2
