"""Access tokens: the embedded authorization server, the data owners' login, and external issuers that are trusted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gateway.settings.values import Code, Count, File, HttpsUrl, KeyId, Seconds, Section

# OpenID Connect Discovery §3: no query, no fragment. Some end in a slash (Auth0, Entra), and that counts: `iss` is
# compared character by character.
ProviderUrl = Annotated[str, Field(pattern=r"^https://[^\s/?#]+(/[^\s?#]*)?$", max_length=2_048)]
Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,64}$")]  # RFC 6749 §3.3


class SigningKey(Section):
    file: File
    """PEM P-256 private key."""
    id: KeyId
    """`kid` of that key."""


class Server(Section):
    issuer: Annotated[str, Field(pattern=r"^https://[^\s/?#]+$", max_length=2_048)]
    """Issuer identifier, and how browsers reach the `consent` listener; without a path."""
    signing_keys: Annotated[tuple[SigningKey, ...], Field(min_length=1, max_length=8)]
    """Keys of access tokens: the first signs, all are published. To rotate: add the new one at the end; later move it
    to the front; when the old one's tokens have expired, take it out."""
    access_token_seconds: Annotated[int, Field(ge=30, le=900)] = 300
    """Life of an access token."""
    code_seconds: Annotated[int, Field(ge=5, le=60)] = 60
    """Life of an authorization code."""
    request_seconds: Annotated[int, Field(ge=5, le=599)] = 300  # FAPI 2.0 §5.3.2.2: less than 600
    """Life of a pushed authorization request: the time that a data owner has to decide."""
    refresh_tokens: bool = True
    """Give refresh tokens with consent tokens; they live as long as the consent."""
    session_seconds: Annotated[int, Field(ge=60, le=43_200)] = 1_800
    """Time that a data owner stays signed in at the consent pages."""
    fresh_login_seconds: Annotated[int, Field(ge=30, le=43_200)] = 600
    """Age of the sign-in up to which a data owner may approve without signing in again."""
    auth_code_seconds: Annotated[int, Field(ge=60, le=3_600)] = 600
    """Life of an Auth Code."""
    auth_codes_per_hour_max: Annotated[int, Field(ge=1, le=1_000)] = 10
    """Auth Codes that one data owner may obtain in an hour."""


class StepUp(Section):
    document_type: Code
    """Kind of document."""
    max_age_seconds: Annotated[int, Field(ge=60, le=31_536_000)]
    """A data request needs a consent token whose owner signed in no longer ago than that."""


class Oidc(Section):
    issuer: ProviderUrl
    """Issuer identifier of the OpenID provider where data owners sign in, exactly as it writes it itself."""
    client_id: Annotated[str, Field(min_length=1, max_length=200)]
    """The gateway's client id there; its redirect URI is `<oauth.server.issuer>/login/callback`."""
    key_file: File | None = None
    """PEM P-256 key of `private_key_jwt`; either this, or `secret_file`."""
    key_id: KeyId | None = None
    """`kid` of that key."""
    secret_file: File | None = None
    """Client secret of `client_secret_basic`."""
    ca_file: File | None = None
    """PEM bundle that the provider's certificate chains to; without it the system's."""
    scopes: tuple[Scope, ...] = ("openid", "profile")
    """Scopes that are asked for."""
    algorithms: Annotated[tuple[Literal["ES256", "PS256", "EdDSA", "RS256"], ...], Field(min_length=1)] = (
        "ES256",
        "PS256",
        "EdDSA",
    )
    """Signature algorithms that are accepted of ID tokens. RS256 only where the provider has no other."""
    owner_claim: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]{1,100}$")] = "sub"
    """Claim of the ID token that is the `dataOwnerId` which banks use."""
    acr_values: tuple[Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,100}$")], ...] = ()
    """Authentication contexts that are asked for; the provider's answer must be one of them."""
    timeout_seconds: Seconds = 5
    """Time for one call to the provider."""

    @model_validator(mode="after")
    def _one_credential(self) -> Oidc:
        if (self.key_file is None) == (self.secret_file is None):
            raise ValueError("give either key_file or secret_file")
        if (self.key_file is None) != (self.key_id is None):
            raise ValueError("key_file and key_id go together")
        return self

    @field_validator("scopes")
    @classmethod
    def _openid(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in scopes:
            raise ValueError("must have openid: without it there is no ID token")
        return scopes


class Login(Section):
    oidc: Oidc
    """The bank's OpenID provider."""


class Introspection(Section):
    url: HttpsUrl
    """RFC 7662 endpoint."""
    client_id: Annotated[str, Field(min_length=1, max_length=200)]
    """The gateway's client id at that server."""
    secret_file: File | None = None
    """Client secret (`client_secret_basic`)."""
    certificate_file: File | None = None
    """PEM chain of a client certificate (`tls_client_auth`)."""
    key_file: File | None = None
    """PEM key of that certificate."""
    cache_seconds: Annotated[float, Field(ge=0, le=300)] = 10
    """Time that an answer is believed: a revocation there counts here so much later."""
    cache_max: Count = 10_000
    """Remembered answers."""

    @model_validator(mode="after")
    def _credentials(self) -> Introspection:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        if self.secret_file is None and self.certificate_file is None:
            raise ValueError("give secret_file, or certificate_file and key_file")
        return self


class Issuer(Section):
    issuer: HttpsUrl
    """Issuer identifier, compared exactly with `iss`."""
    jwks_file: File | None = None
    """The issuer's keys as a file. Without it: RFC 8414 discovery over HTTPS."""
    ca_file: File | None = None
    """PEM bundle that the issuer's HTTPS certificate chains to; without it the system's."""
    algorithms: Annotated[tuple[Literal["PS256", "ES256", "EdDSA"], ...], Field(min_length=1)] = (
        "PS256",
        "ES256",
        "EdDSA",
    )
    """Signature algorithms that are accepted."""
    approves_consents: bool = False
    """Its tokens speak for data owners: the first for a submitted consent makes it valid."""
    introspection: Introspection | None = None
    """Where opaque tokens of this issuer are looked up."""
    refresh_seconds: Seconds = 300
    """Age after which keys are fetched again, beside the requests."""
    stale_seconds_max: Seconds = 3_600
    """Age after which keys that could not be refreshed are no longer used."""
    timeout_seconds: Seconds = 5
    """Time for one fetch."""

    @model_validator(mode="after")
    def _refreshed_before_stale(self) -> Issuer:
        if self.stale_seconds_max < self.refresh_seconds:
            raise ValueError("stale_seconds_max must not be less than refresh_seconds")
        return self


class OAuth(Section):
    resource: HttpsUrl
    """This gateway's resource identifier: `aud` of every token."""
    server: Server | None = None
    """The embedded authorization server, on the listeners `consent` and `bank`."""
    login: Login | None = None
    """Where data owners sign in; the embedded server needs it."""
    issuers: tuple[Issuer, ...] = ()
    """External authorization servers whose tokens are accepted too."""
    step_up: tuple[StepUp, ...] = ()
    """Documents that need a recent sign-in of their owner (RFC 9470)."""
    clock_skew_seconds: Annotated[int, Field(ge=0, le=60)] = 10
    """Tolerance for `nbf` and `iat` in the future. `exp` has none."""
    lifetime_seconds_max: Seconds = 3_600
    """Tokens that live longer are refused."""
    token_cache_max: Count = 10_000
    """Verified tokens that are remembered by hash."""

    @model_validator(mode="after")
    def _somebody_issues(self) -> OAuth:
        if self.server is None and not self.issuers:
            raise ValueError("nobody issues tokens: give server, or issuers")
        if (self.server is None) != (self.login is None):
            raise ValueError("server and login go together")
        return self
