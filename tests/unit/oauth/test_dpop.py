"""DPoP proofs: the matrix of missing, wrong and repeated claims (RFC 9449 §4.3), thumbprints, and nonces."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson
import pytest

from gateway.oauth.dpop import NONCE_SECONDS, Nonces, Proof, check_proof, jwk_thumbprint
from gateway.oauth.refusal import OAuthRefusal
from tests.fakes_oauth import b64, ec_key, hmac_with_public_key, sign
from tests.oauth_clients import (
    NONCES,
    TOKEN_URL,
    confusions,
    header,
    key,
    proof,
    public,
    refused,
    stranger,
    with_doubled_claim,
)
from tests.samples import NOW

TOKEN = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"


def check(
    made: str, *, method: str = "POST", url: str = TOKEN_URL, now: float = NOW, token: str | None = None
) -> Proof:
    return check_proof(made, method=method, url=url, now=now, nonces=NONCES, access_token=token)


def refusal(made: str, **arguments: Any) -> OAuthRefusal:
    found = refused(lambda: check(made, **arguments))
    assert found.status == 400
    return found


def reason(made: str, **arguments: Any) -> str:
    found = refusal(made, **arguments)
    assert found.code == "invalid_dpop_proof"
    return found.reason


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_a_good_proof_names_its_key(alg: str) -> None:
    made = check(proof(alg, jti="one"))
    assert made == Proof(jkt=jwk_thumbprint(public(key(alg))), token_id="one", expires_at=float(NOW + 70))


def test_a_proof_for_a_resource_has_the_hash_of_its_token() -> None:
    assert check(proof(token=TOKEN), token=TOKEN).jkt == jwk_thumbprint(public(key()))


# --- the header: what kind of JWS, and by which key ---------------------------------------------------------------


@pytest.mark.parametrize("typ", [None, "JWT", "at+jwt", "application/dpop+jwt", 7, ""])
def test_dpop_negative_a_wrong_or_missing_typ_is_refused(typ: Any) -> None:
    assert reason(proof(head={"typ": typ})) == "dpop_type"


KID_ALONE = {"kid_path", "kid_sql", "es256_by_rsa_name"}  # which chooses nothing here
OWN_KEY = {"wrong_key", "embedded_jwk"}  # somebody else's proof, and a good one


@pytest.mark.parametrize("name", sorted(confusions(proof).keys() - KID_ALONE - OWN_KEY))
def test_dpop_negative_confusion_is_refused(name: str) -> None:
    assert reason(confusions(proof)[name]).startswith("dpop_")


def test_dpop_negative_a_kid_chooses_nothing() -> None:
    assert check(proof(head={"kid": "../../key"})).jkt == jwk_thumbprint(public(key()))


def test_dpop_negative_another_keys_signature_is_refused() -> None:
    assert reason(proof(by=stranger(), head={"jwk": public(key())})) == "dpop_signature"


@pytest.mark.parametrize("jwk", [None, 7, [], {}, "key", {"kty": "EC"}, {"kty": "oct", "k": "AAAA"}])
def test_dpop_negative_a_missing_or_wrong_jwk_is_refused(jwk: Any) -> None:
    assert reason(proof(head={"jwk": jwk})) == "dpop_key"


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_dpop_negative_a_private_jwk_is_refused(alg: str) -> None:
    private = key(alg).as_dict(private=True)
    assert reason(proof(alg, head={"jwk": private})) == "dpop_key"


def test_dpop_negative_a_symmetric_key_is_refused() -> None:
    secret = hmac_with_public_key(ec_key())
    token = sign(secret, {"typ": "dpop+jwt", "alg": "HS256", "jwk": secret.as_dict(private=True)}, {"htm": "POST"})
    assert reason(token) == "dpop_algorithm"


def test_dpop_negative_a_key_of_another_algorithm_is_refused() -> None:
    assert reason(proof(head={"jwk": public(key("PS256"))})) == "dpop_key"


@pytest.mark.parametrize("alg", ["HS256", "RS256", "ES384", "none", None, 7])
def test_dpop_negative_a_wrong_or_missing_alg_is_refused(alg: Any) -> None:
    head = {"typ": "dpop+jwt", "jwk": public(key())} | ({"alg": alg} if alg is not None else {})
    assert reason(sign(key(), head, {"htm": "POST"}, alg="ES256")) == "dpop_algorithm"


def test_dpop_negative_a_header_member_twice_is_refused() -> None:
    head = orjson.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": public(key())})
    doubled = b'{"jwk":' + orjson.dumps(public(stranger())) + b"," + head[1:]
    assert reason(sign(key(), doubled, {"htm": "POST"}, alg="ES256")) == "dpop_malformed"


# --- the claims ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("htm", [None, "GET", "post", "POST ", 7, ["POST"]])
def test_dpop_negative_a_wrong_or_missing_htm_is_refused(htm: Any) -> None:
    assert reason(proof(htm=htm)) == "dpop_method"


@pytest.mark.parametrize(
    "htu",
    [
        None,
        7,
        "",
        "/oauth/token",
        "https://consent.gateway.example/oauth/par",
        "https://consent.gateway.example/oauth/token/",
        "https://consent.gateway.example/OAUTH/token",
        "https://consent.gateway.example:8444/oauth/token",
        "https://consent.gateway.example:99999/oauth/token",
        "https://consent.gateway.example.mallory.example/oauth/token",
        "https://mallory@consent.gateway.example/oauth/token",
        "http://consent.gateway.example/oauth/token",
        "https://consent.gateway.example/oauth%2Ftoken",
        "https://consent.gateway.example/oauth/to\nken",
        " https://consent.gateway.example/oauth/token",
        "https://[::1/oauth/token",
        "https://consent.gateway.example/oauth/token?" + "x" * 2_048,
        ["https://consent.gateway.example/oauth/token"],
    ],
)
def test_dpop_negative_a_wrong_or_missing_htu_is_refused(htu: Any) -> None:
    assert reason(proof(htu=htu)) == "dpop_url"


@pytest.mark.parametrize("htu", [None, "", "https://x.example/a b"])
@pytest.mark.parametrize("url", ["https://x.example/a b", "https://x.example/" + "x" * 2_048, "https://x.example/é"])
def test_dpop_negative_a_url_that_is_none_is_nobodys(url: str, htu: Any) -> None:
    """A path is the caller's to choose: two that cannot be read are not the same for that."""
    assert reason(proof(htu=htu), url=url) == "dpop_url"


@pytest.mark.parametrize(
    "htu",
    [
        "https://consent.gateway.example/oauth/token?a=b#c",
        "HTTPS://Consent.Gateway.Example:443/oauth/token",
        "https://consent.gateway.example:/oauth/token",
        "https://consent.gateway.example/%6Fauth/t%6fken",
    ],
)
def test_the_same_url_in_other_words_is_the_same(htu: str) -> None:
    """RFC 9449 §4.3 (9): without query and fragment; RFC 3986 §6.2.2, §6.2.3."""
    assert check(proof(htu=htu)).expires_at == NOW + 70


def test_percent_encodings_are_compared_in_capitals() -> None:
    assert check(proof(htu="https://x.example/a%2fb"), url="https://x.example/a%2Fb").expires_at == NOW + 70
    assert check(proof(htu="https://x.example"), url="https://x.example/").expires_at == NOW + 70


@pytest.mark.parametrize("iat", [None, "now", True, NOW + 0.5, -1, 1 << 41])
def test_dpop_negative_a_wrong_or_missing_iat_is_refused(iat: Any) -> None:
    assert reason(proof(iat=iat)) in {"dpop_issued_at", "dpop_malformed"}


@pytest.mark.parametrize(
    ("age", "good"), [(60, True), (61, False), (0, True), (-10, True), (-11, False), (3_600, False)]
)
def test_a_proof_counts_for_a_minute(age: int, good: bool) -> None:
    made = proof(iat=NOW - age)
    if good:
        assert check(made).expires_at == NOW - age + 70
    else:
        assert reason(made) == "dpop_issued_at"


@pytest.mark.parametrize("exp", [NOW, NOW - 1, "soon", True])
def test_dpop_negative_an_exp_that_has_passed_is_refused(exp: Any) -> None:
    assert reason(proof(exp=exp)) == "dpop_expiry"


@pytest.mark.parametrize("nbf", [NOW + 11, NOW + 3_600, "later", True])
def test_dpop_negative_an_nbf_in_the_future_is_refused(nbf: Any) -> None:
    assert reason(proof(nbf=nbf)) == "dpop_not_before"


def test_exp_and_nbf_that_hold_are_no_fault() -> None:
    assert check(proof(exp=NOW + 1, nbf=NOW + 8)).expires_at == NOW + 70


@pytest.mark.parametrize("jti", [None, "", 7, "j" * 257, ["one"]])
def test_dpop_negative_a_wrong_or_missing_jti_is_refused(jti: Any) -> None:
    assert reason(proof(jti=jti)) == "dpop_token_id"


@pytest.mark.parametrize("ath", [None, "", 7, "A" * 43, b64(hashlib.sha256(b"other").digest()), TOKEN])
def test_dpop_negative_a_wrong_or_missing_ath_is_refused(ath: Any) -> None:
    assert reason(proof(token=TOKEN, ath=ath), token=TOKEN) == "dpop_token_hash"


def test_dpop_negative_a_padded_ath_is_refused() -> None:
    padded = base64.urlsafe_b64encode(hashlib.sha256(TOKEN.encode()).digest()).decode()
    assert reason(proof(ath=padded), token=TOKEN) == "dpop_token_hash"


@pytest.mark.parametrize("name", ["htm", "htu", "iat", "jti", "ath", "nonce"])
def test_dpop_negative_a_claim_twice_is_refused(name: str) -> None:
    made = proof(token=TOKEN)
    assert reason(with_doubled_claim(made, name, "POST", by=key()), token=TOKEN) == "dpop_malformed"


def test_the_claims_are_looked_at_behind_the_signature_alone() -> None:
    """Whoever has no key learns nothing of what we compare with."""
    assert reason(proof(by=stranger(), head={"jwk": public(key())}, htm="GET", nonce="old")) == "dpop_signature"


# --- nonces -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nonce", [None, "", "x" * 43, 7, "é" * 43, Nonces(b"o" * 32).issue(NOW)])
def test_a_good_proof_without_a_good_nonce_is_asked_for_one(nonce: Any) -> None:
    found = refusal(proof(nonce=nonce))
    assert (found.code, found.reason) == ("use_dpop_nonce", "dpop_nonce")


def test_a_nonce_is_good_in_its_own_span_and_the_next() -> None:
    start = NOW // NONCE_SECONDS * NONCE_SECONDS
    nonce = NONCES.issue(start)
    assert NONCES.issue(start + NONCE_SECONDS - 1) == nonce
    assert NONCES.valid(nonce, start)
    assert NONCES.valid(nonce, start + 2 * NONCE_SECONDS - 1)
    assert not NONCES.valid(nonce, start + 2 * NONCE_SECONDS)
    assert not NONCES.valid(nonce, start - 1)


def test_every_process_with_the_secret_knows_the_nonce() -> None:
    assert Nonces(b"n" * 32).valid(NONCES.issue(NOW), NOW)


@pytest.mark.parametrize("nonce", ["", "x", "é" * 43, "a" * 44, "\ud800" * 43])
def test_what_is_no_nonce_is_not_valid(nonce: str) -> None:
    assert not NONCES.valid(nonce, NOW)


# --- thumbprints --------------------------------------------------------------------------------------------------


def test_the_thumbprint_of_rfc_7638_section_3_1() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgd"
        "AZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCu"
        "r-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert jwk_thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_key_and_proof_of_rfc_9449_section_4_1() -> None:
    """The RFC's own proof: its signature holds, its time has passed. Its thumbprint is that of §6.1."""
    published = (
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0Rs"
        "cEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2"
        "In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2Vu"
        "IiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT"
        "3Lg"
    )
    found = refusal(published, url="https://server.example.com/token", now=1_562_262_616)
    assert found.code == "use_dpop_nonce"  # all else was right
    assert reason(published, url="https://server.example.com/token", now=NOW) == "dpop_issued_at"
    jwk = orjson.loads(base64.urlsafe_b64decode(published.split(".", maxsplit=1)[0] + "=="))["jwk"]
    assert jwk_thumbprint(jwk) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def test_the_thumbprint_does_not_depend_on_other_members() -> None:
    members = public(key())
    assert jwk_thumbprint(members | {"kid": "x", "use": "sig"}) == jwk_thumbprint(dict(reversed(members.items())))


def test_nothing_of_the_proof_is_in_the_refusal() -> None:
    found = refusal(proof(htu="https://canary.example", head=header("ES256", {"typ": "dpop+jwt"})))
    assert "canary" not in repr((found, found.reason, found.description, dict(found.headers)))
