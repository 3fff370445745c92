"""Access tokens as they are made: signed, typed, short, pairwise."""

from __future__ import annotations

from gateway.authorization.minting import TOKEN_TYPE, Mint
from gateway.core.model import ConsentStatus
from gateway.oauth.issuing import Confirmation
from gateway.oauth.jws import algorithm_and_key_id, parse_jws, verified
from tests import oauth_samples
from tests.authorization_parts import TokenSigner
from tests.fakes_authorization import RESOURCE, Server, claims_of, subject_of
from tests.fakes_flows import PSEUDONYM_KEY
from tests.oauth_clients import CLIENT, ISSUER, KEYS
from tests.samples import NOW

MINT = Mint(issuer=ISSUER, resource=RESOURCE, signer=TokenSigner(), pairwise_key=PSEUDONYM_KEY, life_seconds=300)
BOUND = Confirmation(x5t="A" * 43)


async def test_a_token_is_signed_and_says_what_it_is(server: Server) -> None:
    """RFC 9068 §2.1."""
    minted = MINT.for_client(server.caller(), BOUND, scopes=("cdi:consents",))
    jws = parse_jws(minted.token, characters_max=8_192)
    assert jws.header == {"alg": "ES256", "kid": "key-ES256", "typ": TOKEN_TYPE}
    assert TOKEN_TYPE == "at+jwt"
    verified(jws, KEYS, *algorithm_and_key_id(jws, types={"at+jwt"}))
    assert jws.claims["jti"] == minted.token_id
    assert (jws.claims["iat"], jws.claims["exp"]) == (NOW, NOW + 300)


async def test_our_resource_server_believes_it(server: Server) -> None:
    minted = MINT.for_client(server.caller(), BOUND, scopes=("cdi:consents",))
    token = await server.tokens.verify(minted.token)
    assert (token.client_id, token.token_id, token.issuer) == (CLIENT, minted.token_id, ISSUER)


async def test_no_two_tokens_have_one_id(server: Server) -> None:
    made = {MINT.for_client(server.caller(), BOUND, scopes=("a",)).token_id for _ in range(50)}
    assert len(made) == 50


async def test_the_owner_has_another_pseudonym_at_each_client_and_never_their_own(server: Server) -> None:
    consent = await server.consent(status=ConsentStatus.VALID)
    subjects = set()
    for client_id in (CLIENT, "bank-a-batch"):
        grant = oauth_samples.grant(consent, client_id=client_id)
        minted = MINT.for_grant(server.caller(client_id), grant, consent, BOUND, scopes=grant.scopes)
        subjects.add(claims_of(minted.token)["sub"])
        assert subject_of() not in str(claims_of(minted.token))
    assert len(subjects) == 2


async def test_token_and_answer_say_the_same(server: Server) -> None:
    consent = await server.consent(status=ConsentStatus.VALID)
    grant = oauth_samples.grant(consent)
    minted = MINT.for_grant(server.caller(), grant, consent, Confirmation(jkt="E" * 43), scopes=("cdi:data-requests",))
    answer, claims = minted.answer(), claims_of(minted.token)
    assert answer["access_token"] == minted.token
    assert (answer["token_type"], answer["expires_in"]) == ("DPoP", claims["exp"] - claims["iat"])
    for name in ("scope", "grant_id", "authorization_details"):
        assert answer[name] == claims[name]


async def test_the_record_names_the_token_and_holds_nothing_of_it(server: Server) -> None:
    minted = MINT.for_client(server.caller(), BOUND, scopes=("cdi:consents", "cdi:notices"))
    record = minted.record("client_credentials")
    assert record.type == "token.issued"
    assert record.facts == {
        "token": minted.token_id,
        "grantType": "client_credentials",
        "scope": "cdi:consents cdi:notices",
        "binding": "mtls",
    }
    assert minted.token not in repr(minted)
    assert minted.token not in repr(record)
