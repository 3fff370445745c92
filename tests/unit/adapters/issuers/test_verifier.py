"""Every way in which a token can be wrong, each signed for real; and what the cache may and may not do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.issuers.jwks import IssuerKeys
from adapters.issuers.verifier import JwtVerifier, TrustedIssuer
from gateway.errors import TokenInvalid, UpstreamUnavailable
from gateway.oauth.access_token import Fault
from tests.fakes import FakeClock
from tests.fakes_oauth import (
    ISSUER,
    NOW,
    RESOURCE,
    FakeFetch,
    b64,
    claims,
    ec_key,
    ed_key,
    hmac_with_public_key,
    jwks,
    rsa_key,
    sign,
    token,
)

EC, RSA, ED, STRANGER = ec_key(), rsa_key(), ed_key(), ec_key()


class World:
    """One verifier, one issuer, its keys and the clock."""

    def __init__(self, *, algorithms: frozenset[str] = frozenset({"ES256", "PS256", "EdDSA"}), cache_max: int = 8):
        self.clock = FakeClock()
        self.fetch = FakeFetch(jwks(EC, RSA, ED))
        self.keys = IssuerKeys(
            self.fetch, clock=self.clock, refresh_seconds=300, stale_seconds_max=3600, pause_seconds=10
        )
        self.verifier = JwtVerifier(
            [TrustedIssuer(issuer=ISSUER, keys=self.keys, algorithms=algorithms, approves_consents=True)],
            resource=RESOURCE,
            clock=self.clock,
            skew_seconds=10,
            lifetime_seconds_max=3600,
            cache_max=cache_max,
        )

    async def fault(self, token: str) -> str:
        with pytest.raises(TokenInvalid) as refused:
            await self.verifier.verify(token)
        return refused.value.private


@pytest.fixture
async def world() -> World:
    return World()


@pytest.mark.parametrize(("key", "alg"), [(EC, "ES256"), (RSA, "PS256"), (ED, "EdDSA")])
async def test_a_good_token_is_believed(world: World, key: object, alg: str) -> None:
    access = await world.verifier.verify(token(key, alg))  # type: ignore[arg-type] # a union of key classes
    assert (access.client_id, access.expires_at, access.issuer) == ("bank-a", NOW + 290, ISSUER)


def header(**changes: object) -> dict[str, object]:
    return {"typ": "at+jwt", "alg": "ES256", "kid": "ec"} | changes


def _flipped(value: str, index: int) -> str:
    return value[:index] + ("A" if value[index] != "A" else "B") + value[index + 1 :]


GOOD = token(EC)
HEAD, BODY, SIGNATURE = GOOD.split(".")

WRONG: dict[str, tuple[Callable[[], str], Fault]] = {
    "empty": (lambda: "", Fault.MALFORMED),
    "a word": (lambda: "token", Fault.MALFORMED),
    "two segments": (lambda: f"{HEAD}.{BODY}", Fault.MALFORMED),
    "four segments": (lambda: GOOD + ".AA", Fault.MALFORMED),
    "five segments, a JWE": (lambda: GOOD + ".AA.AA", Fault.MALFORMED),
    "empty segments": (lambda: "..", Fault.MALFORMED),
    "not ASCII": (lambda: GOOD + "\u0430", Fault.MALFORMED),
    "a lone surrogate": (lambda: GOOD + "\ud800", Fault.MALFORMED),
    "too long": (lambda: token(EC, pad="x" * 8192), Fault.TOO_LARGE),
    "padded": (lambda: f"{HEAD}.{BODY}.{SIGNATURE}==", Fault.MALFORMED),
    "white space": (lambda: f"{HEAD}.{BODY}.{SIGNATURE}\n", Fault.MALFORMED),
    "plain base64": (lambda: f"{HEAD}.{BODY}.{'+' + SIGNATURE[1:]}", Fault.MALFORMED),
    "header is an array": (lambda: f"{b64(b'[]')}.{BODY}.{SIGNATURE}", Fault.MALFORMED),
    "payload is not JSON": (lambda: sign(EC, header(), b"hello"), Fault.MALFORMED),
    "payload is an array": (lambda: sign(EC, header(), b"[]"), Fault.MALFORMED),
    "payload with NaN": (lambda: sign(EC, header(), b'{"exp": NaN}'), Fault.MALFORMED),
    "deeply nested payload": (lambda: sign(EC, header(), b"[" * 3000), Fault.MALFORMED),
    "header names twice": (
        lambda: sign(EC, b'{"typ":"at+jwt","alg":"none","alg":"ES256","kid":"ec"}', claims(), alg="ES256"),
        Fault.MALFORMED,
    ),
    "claims twice": (
        lambda: sign(EC, header(), orjson.dumps(claims())[:-1] + b',"client_id":"bank-b"}'),
        Fault.MALFORMED,
    ),
    "none": (lambda: f"{b64(orjson.dumps(header(alg='none')))}.{BODY}.", Fault.ALGORITHM),
    "None": (lambda: f"{b64(orjson.dumps(header(alg='None')))}.{BODY}.", Fault.ALGORITHM),
    "HS256 with the public key as secret": (
        lambda: sign(hmac_with_public_key(EC), header(alg="HS256"), claims()),
        Fault.ALGORITHM,
    ),
    "RS256": (lambda: sign(RSA, header(alg="RS256", kid="rsa"), claims()), Fault.ALGORITHM),
    "PS384": (lambda: sign(RSA, header(alg="PS384", kid="rsa"), claims()), Fault.ALGORITHM),
    "ES384": (lambda: sign(EC, header(alg="ES384"), claims(), alg="ES256"), Fault.ALGORITHM),
    "no algorithm": (lambda: sign(EC, {"typ": "at+jwt", "kid": "ec"}, claims(), alg="ES256"), Fault.ALGORITHM),
    "algorithm is a list": (lambda: sign(EC, header(alg=["ES256"]), claims(), alg="ES256"), Fault.ALGORITHM),
    "algorithm of another key": (lambda: sign(EC, header(alg="PS256"), claims(), alg="ES256"), Fault.KEY),
    "critical extension": (lambda: token(EC, header={"crit": ["exp"]}), Fault.HEADER),
    "b64 false": (lambda: token(EC, header={"b64": False}), Fault.HEADER),
    "jwk in the header": (lambda: token(STRANGER, header={"jwk": STRANGER.as_dict(private=False)}), Fault.HEADER),
    "jku in the header": (lambda: token(STRANGER, header={"jku": "https://evil.example/jwks"}), Fault.HEADER),
    "x5u in the header": (lambda: token(STRANGER, header={"x5u": "https://evil.example/x"}), Fault.HEADER),
    "x5c in the header": (lambda: token(STRANGER, header={"x5c": ["AAAA"]}), Fault.HEADER),
    "kid is a number": (lambda: token(EC, header={"kid": 7}), Fault.HEADER),
    "kid is null": (lambda: token(EC, header={"kid": None}), Fault.HEADER),
    "kid is huge": (lambda: token(EC, header={"kid": "k" * 257}), Fault.HEADER),
    "kid is a path": (lambda: token(EC, header={"kid": "../../dev/null"}), Fault.KEY),
    "kid is empty": (lambda: token(EC, header={"kid": ""}), Fault.KEY),
    "signed by another key of that name": (lambda: token(STRANGER), Fault.SIGNATURE),
    "no signature": (lambda: f"{HEAD}.{BODY}.", Fault.SIGNATURE),
    "short signature": (lambda: f"{HEAD}.{BODY}.{b64(bytes(63))}", Fault.SIGNATURE),
    "zero signature": (lambda: f"{HEAD}.{BODY}.{b64(bytes(64))}", Fault.SIGNATURE),
    "another token's signature": (
        lambda: f"{HEAD}.{BODY}.{token(EC, jti='other').split('.')[2]}",
        Fault.SIGNATURE,
    ),
    "changed signature": (lambda: f"{HEAD}.{BODY}.{_flipped(SIGNATURE, 9)}", Fault.SIGNATURE),
    "changed payload": (
        lambda: f"{HEAD}.{b64(orjson.dumps(claims(client_id='bank-b')))}.{SIGNATURE}",
        Fault.SIGNATURE,
    ),
    "an ID token": (lambda: token(EC, header={"typ": "JWT"}), Fault.TYPE),
    "another issuer": (lambda: token(EC, iss="https://evil.example"), Fault.ISSUER),
    "issuer is an object": (lambda: token(EC, iss={}), Fault.ISSUER),
    "another resource": (lambda: token(EC, aud="https://other.example"), Fault.AUDIENCE),
    "expired": (lambda: token(EC, exp=NOW), Fault.EXPIRED),
    "for too long": (lambda: token(EC, exp=NOW + 3600), Fault.LIFETIME),
    "bound twice": (lambda: token(EC, cnf={"jkt": "A" * 43, "x5t#S256": "A" * 43}), Fault.CONFIRMATION),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_token_is_refused(world: World, case: str) -> None:
    make, fault = WRONG[case]
    wrong = make()
    assert await world.fault(wrong) == fault
    assert await world.fault(wrong) == fault  # and again: nothing was remembered


async def test_a_key_name_may_be_missing_where_one_key_fits(world: World) -> None:
    unnamed = sign(EC, {"typ": "at+jwt", "alg": "ES256"}, claims())
    assert (await world.verifier.verify(unnamed)).client_id == "bank-a"
    world.fetch.document = jwks(EC, ec_key("other"))
    await world.keys.refresh()
    assert await world.fault(unnamed) == Fault.KEY


async def test_an_algorithm_off_the_issuers_list_is_refused() -> None:
    assert await World(algorithms=frozenset({"PS256"})).fault(token(EC)) == Fault.ALGORITHM


async def test_unknown_header_members_are_ignored(world: World) -> None:
    assert (await world.verifier.verify(token(EC, header={"x-note": "hello"}))).client_id == "bank-a"


async def test_a_remembered_token_is_the_same_value(world: World) -> None:
    assert await world.verifier.verify(GOOD) is await world.verifier.verify(GOOD)


async def test_a_remembered_token_still_expires(world: World) -> None:
    await world.verifier.verify(GOOD)
    world.clock.advance(290)
    assert await world.fault(GOOD) == Fault.EXPIRED


async def test_a_remembered_token_dies_with_its_key(world: World) -> None:
    await world.verifier.verify(GOOD)
    world.fetch.document = jwks(RSA)
    await world.keys.refresh()
    assert await world.fault(GOOD) == Fault.KEY


async def test_refreshing_the_same_keys_forgets_nothing(world: World) -> None:
    before = await world.verifier.verify(GOOD)
    await world.keys.refresh()
    assert await world.verifier.verify(GOOD) is before


async def test_a_remembered_token_is_not_believed_with_stale_keys(world: World) -> None:
    lasting = token(EC, iat=NOW, exp=NOW + 3600)
    await world.keys.refresh()
    world.clock.advance(100)
    await world.verifier.verify(lasting)
    world.fetch.failure = "unreachable"
    world.clock.advance(3499)
    await world.verifier.verify(lasting)
    world.clock.advance(0.9)
    await world.verifier.verify(lasting)
    later = token(EC, iat=NOW + 3000, exp=NOW + 6000)
    await world.verifier.verify(later)
    world.clock.advance(0.2)
    with pytest.raises(UpstreamUnavailable):
        await world.verifier.verify(later)


async def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    world = World(cache_max=2)
    first = await world.verifier.verify(GOOD)
    await world.verifier.verify(token(EC, jti="two"))
    assert await world.verifier.verify(GOOD) is first
    await world.verifier.verify(token(EC, jti="three"))
    assert await world.verifier.verify(GOOD) is first


async def test_a_rotated_key_is_found_at_once(world: World) -> None:
    await world.verifier.verify(GOOD)
    world.clock.advance(10)
    fresh = ec_key("next")
    world.fetch.document = jwks(EC, fresh)
    assert (await world.verifier.verify(token(fresh, iat=NOW, exp=NOW + 300))).client_id == "bank-a"
    assert world.fetch.calls == 2


async def test_unknown_keys_cause_one_fetch_per_pause(world: World) -> None:
    await world.verifier.verify(GOOD)
    world.clock.advance(10)
    for number in range(5):
        assert await world.fault(token(STRANGER, header={"kid": f"k{number}"})) == Fault.KEY
    assert world.fetch.calls == 2


async def test_an_unknown_key_during_an_outage_says_nothing_about_the_token(world: World) -> None:
    await world.verifier.verify(GOOD)
    world.fetch.failure = "unreachable"
    world.clock.advance(10)
    with pytest.raises(UpstreamUnavailable) as refused:
        await world.verifier.verify(token(ec_key("next")))
    assert refused.value.private == "issuer_keys_unreachable"
    assert (await world.verifier.verify(GOOD)).client_id == "bank-a"


async def test_an_outage_from_the_start_is_no_refusal_of_the_token(world: World) -> None:
    world.fetch.failure = "timeout"
    with pytest.raises(UpstreamUnavailable):
        await world.verifier.verify(GOOD)
    world.fetch.failure = None
    with pytest.raises(UpstreamUnavailable):  # not asked again within the pause
        await world.verifier.verify(GOOD)
    world.clock.advance(10)
    assert (await world.verifier.verify(GOOD)).client_id == "bank-a"


async def test_a_token_of_no_known_issuer_causes_no_fetch(world: World) -> None:
    await world.fault(token(EC, iss="https://evil.example"))
    await world.fault("garbage")
    assert world.fetch.calls == 0


async def test_issuers_do_not_speak_for_each_other() -> None:
    clock = FakeClock()
    issuers = [
        TrustedIssuer(
            issuer=name,
            keys=IssuerKeys(FakeFetch(jwks(key)), clock=clock, refresh_seconds=300, stale_seconds_max=3600),
            algorithms=frozenset({"ES256"}),
            approves_consents=approves,
        )
        for name, key, approves in ((ISSUER, EC, False), ("https://other.example", STRANGER, True))
    ]
    verifier = JwtVerifier(
        issuers, resource=RESOURCE, clock=clock, skew_seconds=10, lifetime_seconds_max=3600, cache_max=8
    )
    details = [{"type": "cdi_consent", "consentId": "c"}]
    own = await verifier.verify(token(STRANGER, iss="https://other.example", authorization_details=details))
    assert own.grants[0].approves
    assert not (await verifier.verify(token(EC, authorization_details=details))).grants[0].approves
    with pytest.raises(TokenInvalid):
        await verifier.verify(token(STRANGER))


async def test_run_keeps_keys_fresh_until_cancelled(world: World) -> None:
    fetched = asyncio.Event()

    async def fetch() -> bytes:
        fetched.set()
        return jwks(EC)

    keys = IssuerKeys(fetch, clock=world.clock, refresh_seconds=300, stale_seconds_max=3600)
    verifier = JwtVerifier(
        [TrustedIssuer(issuer=ISSUER, keys=keys, algorithms=frozenset({"ES256"}), approves_consents=False)],
        resource=RESOURCE,
        clock=world.clock,
        skew_seconds=10,
        lifetime_seconds_max=3600,
        cache_max=8,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(verifier.run())
        await fetched.wait()
        running.cancel()
    assert keys.current() is not None


SEGMENTS = st.sampled_from([HEAD, BODY, SIGNATURE]) | st.text(max_size=40) | st.binary(max_size=60).map(b64)


@given(st.text(max_size=200) | st.lists(SEGMENTS, max_size=6).map(".".join))
def test_arbitrary_text_is_refused_and_nothing_else(text: str) -> None:
    async def attempt() -> None:
        try:
            access = await World().verifier.verify(text)
        except TokenInvalid as refused:
            assert refused.private in set(Fault)  # noqa: PT017 - the good token may be drawn
        else:
            assert text == GOOD
            assert access.client_id == "bank-a"

    asyncio.run(attempt())


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_any_changed_character_is_noticed(index: int, character: str) -> None:
    async def attempt() -> None:
        changed = GOOD[:index] + character + GOOD[index + 1 :]
        if changed != GOOD:
            with pytest.raises(TokenInvalid):
                await World().verifier.verify(changed)

    asyncio.run(attempt())
