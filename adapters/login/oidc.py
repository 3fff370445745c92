"""`ports.authorization.Login` at a bank's own OpenID provider: authorization code with PKCE, state and nonce (Authlib).

The order of a callback's checks is `finish`, top to bottom. What happened at the provider is told by codes; nothing of
a token, a claim or a parameter is in a text here.
"""

from __future__ import annotations

import base64
import hmac
import ssl
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx
import orjson
from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]

from adapters.login.credentials import Credentials, authentication
from adapters.login.id_token import SKEW_SECONDS, Expected, claims_of, header_of, signed_in
from adapters.login.provider import Description, Provider
from adapters.login.transport import BoundedTransport, Unreachable, no_cookies, one_call
from gateway.core.ijson import parse
from gateway.errors import SchemaInvalid, UpstreamUnavailable
from gateway.ports import Clock
from gateway.ports.authorization import LoginChallenge, LoginRefused, SignedIn

with warnings.catch_warnings():
    # Authlib 1.9 prefers a fork of httpx, and says so on standard error at every start.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
    from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

CHALLENGE_SECONDS = 600
SESSION_SECONDS_MAX = 86_400
"""A sign-in at the provider that is older is not taken for one: `max_age` of every request."""
_SECRET_BYTES = 32
_CODE_CHARACTERS_MAX = 4_096
_PROVIDER_BUSY = frozenset({"server_error", "temporarily_unavailable"})  # RFC 6749 §4.1.2.1
_DENIED = frozenset({"access_denied", "login_required", "interaction_required", "consent_required"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """`LoginChallenge.secret` in the open."""

    state: str
    nonce: str
    verifier: str
    at: int
    fresh: bool
    acr_values: tuple[str, ...]


class OidcLogin:
    """One provider. `entropy`: that many random bytes."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        redirect_uri: str,
        credentials: Credentials,
        ssl_context: ssl.SSLContext,
        owner_claim: str,
        clock: Clock,
        entropy: Callable[[int], bytes],
        scopes: Sequence[str] = ("openid", "profile"),
        algorithms: Sequence[str] = ("ES256", "PS256", "EdDSA"),
        timeout_seconds: float = 5.0,
    ) -> None:
        if "openid" not in scopes:
            raise ValueError("without the scope openid there is no ID token")
        if not algorithms or not frozenset(algorithms) <= {"ES256", "PS256", "EdDSA", "RS256"}:
            raise ValueError("not an algorithm for ID tokens")
        self._issuer = issuer
        self._client_id = client_id
        self._credentials = credentials
        self._owner_claim = owner_claim
        self._algorithms = frozenset(algorithms)
        self._clock = clock
        self._entropy = entropy
        self._timeout_seconds = timeout_seconds
        self._client = AsyncOAuth2Client(
            client_id=client_id,
            client_secret=credentials.secret,
            scope=" ".join(scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            transport=BoundedTransport(ssl_context),
            cookies=no_cookies(),
            timeout=timeout_seconds,
            trust_env=False,
            follow_redirects=False,
        )
        self._client.register_compliance_hook("access_token_response", _usable)
        self._provider = Provider(
            issuer, client=self._client, algorithms=self._algorithms, clock=clock, timeout_seconds=timeout_seconds
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def begin(self, *, fresh: bool, acr_values: Sequence[str], locale: str) -> LoginChallenge:
        """See `Login`. `secret` is not for other eyes than the caller's: it holds the PKCE verifier."""
        description = await self._provider.description()
        asked = _Asked(
            state=self._random(),
            nonce=self._random(),
            verifier=self._random(),
            at=int(self._clock.now()),
            fresh=fresh,
            acr_values=tuple(acr_values),
        )
        url, _ = self._client.create_authorization_url(
            description.authorization_endpoint,
            state=asked.state,
            nonce=asked.nonce,
            code_verifier=asked.verifier,
            # OpenID Connect Core §3.1.2.1: `max_age` makes `auth_time` required, `prompt` alone does not.
            max_age=str(0 if fresh else SESSION_SECONDS_MAX),
            prompt="login" if fresh else None,
            acr_values=" ".join(acr_values) or None,
            ui_locales=locale or None,
        )
        return LoginChallenge(url=url, secret=orjson.dumps(asdict(asked)).decode())

    async def finish(self, secret: str, answer: Mapping[str, str]) -> SignedIn:
        """See `Login`."""
        asked = _asked(secret)
        now = self._clock.now()
        if not asked.at - SKEW_SECONDS <= now < asked.at + CHALLENGE_SECONDS:
            raise LoginRefused("challenge_expired")
        if not hmac.compare_digest(answer.get("state", "").encode(errors="replace"), asked.state.encode()):
            raise LoginRefused("state")  # another browser's, or nobody's (RFC 9700 §4.7)
        description = await self._provider.description()
        # RFC 9207 §2.4: before anything else of the response, errors included. What is there is compared, whether the
        # provider announced it or not.
        named = answer.get("iss")
        if named != self._issuer and (named is not None or description.names_itself):
            raise LoginRefused("issuer")
        _no_error(answer)
        code = answer.get("code", "")
        if not 0 < len(code) <= _CODE_CHARACTERS_MAX:
            raise LoginRefused("code")
        token = await self._redeem(description, code, asked.verifier)
        algorithm, key_id = header_of(token, self._algorithms)
        key = description.keys.find(algorithm, key_id)
        if key is None:
            key = (await self._provider.newer(description)).keys.find(algorithm, key_id)
        if key is None:
            raise LoginRefused("id_token_key")
        now = self._clock.now()
        expected = Expected(
            issuer=self._issuer,
            client_id=self._client_id,
            nonce=asked.nonce,
            signed_in_after=asked.at if asked.fresh else now - SESSION_SECONDS_MAX,
            acr_values=asked.acr_values,
            owner_claim=self._owner_claim,
        )
        return signed_in(claims_of(token, key.key, algorithm), expected, now=now)

    async def _redeem(self, description: Description, code: str, verifier: str) -> str:
        """The ID token for a code. The access token beside it is not used, and not kept."""
        method = authentication(
            self._credentials, issuer=self._issuer, now=self._clock.now(), assertion_id=self._random()
        )
        try:
            async with one_call(self._timeout_seconds):
                answer = await self._client.fetch_token(
                    description.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                    auth=self._client.client_auth(method),
                )
        except Unreachable as error:
            raise _unavailable(str(error)) from error
        except OAuthError as error:
            # Used before, expired, or of another client. Every other code is about the gateway, not about the person.
            if error.error == "invalid_grant":
                raise LoginRefused("code") from None  # the provider's free text stays out
            raise _unavailable("client_refused") from None
        except (ValueError, TypeError, OverflowError):
            raise _unavailable("answer") from None  # e.g. `expires_in` that is no number
        finally:
            self._client.token = None
        return str(answer["id_token"])

    def _random(self) -> str:
        return base64.urlsafe_b64encode(self._entropy(_SECRET_BYTES)).rstrip(b"=").decode()


def _asked(secret: str) -> _Asked:
    try:
        members: dict[str, Any] = orjson.loads(secret)
        return _Asked(**members | {"acr_values": tuple(members["acr_values"])})
    except (ValueError, TypeError, KeyError):
        raise LoginRefused("challenge") from None


def _no_error(answer: Mapping[str, str]) -> None:
    error = answer.get("error")
    if error is None:
        return
    if error in _PROVIDER_BUSY:
        raise _unavailable("provider_busy")
    raise LoginRefused("denied" if error in _DENIED else "provider_error")


def _usable(response: httpx.Response) -> httpx.Response:
    """What may be read as an answer of a token endpoint: tokens, or RFC 6749 §5.2's errors. Raises Unreachable for
    what is neither, LoginRefused for tokens without an ID token."""
    if response.status_code not in {200, 400, 401}:
        raise Unreachable("status")
    try:
        answer = parse(response.content)
    except SchemaInvalid as error:
        raise Unreachable("answer_not_json") from error
    if not isinstance(answer, dict):
        raise Unreachable("answer_not_json")
    if response.status_code == 200:
        if "error" in answer or not isinstance(answer.get("id_token"), str):
            raise LoginRefused("id_token_missing")
    elif not isinstance(answer.get("error"), str):
        raise Unreachable("status")
    return response


def _unavailable(problem: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(private=f"login_{problem}")
