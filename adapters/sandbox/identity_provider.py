"""The OpenID provider where the bank's customers sign in, for one client: the gateway (OpenID Connect Core 1.0).

Authorization code with PKCE S256, `private_key_jwt`, ID tokens in ES256. Sign-ins, codes and sessions live in memory:
a restart signs everybody out. No HTTP here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from adapters.sandbox.assertions import Assertions
from adapters.sandbox.bounded import Bounded
from adapters.sandbox.cast import OWNER_CLAIM
from adapters.sandbox.identity_request import CLAIMS_SCOPE, AuthenticationRequest, ProviderRefusal
from adapters.sandbox.signing import KeySigner, base64url

ACR = "urn:cdi-gateway:sandbox:password"
CODE_SECONDS = 60
ID_TOKEN_SECONDS = 300
INTERACTION_SECONDS = 600
SESSION_SECONDS = 1_800
ATTEMPTS_MAX = 5  # wrong passwords of one login …
ATTEMPTS_SECONDS = 60  # … within this time
INPUT_CHARACTERS_MAX = 200
_KEPT_MAX = 10_000
_BAD_CODE = "the code is unknown, used, expired, or of another request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A customer. `password_hash`: as `password_hash` makes it. `data_owner_id`: how banks call this customer."""

    login: str
    password_hash: str
    data_owner_id: str
    name: str
    name_zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Who is signed in, and since when (Unix seconds)."""

    account: Account
    auth_time: int


class SignInFailed(Exception):
    """The same for an unknown login and a wrong password. `locked`: too many of them, try later."""

    def __init__(self, *, locked: bool = False) -> None:
        super().__init__("too many attempts" if locked else "login or password is wrong")
        self.locked = locked


class IdentityProvider:
    """`now` is Unix seconds wherever it is an argument."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        assertions: Assertions,
        signer: KeySigner,
        accounts: Sequence[Account],
        subject_key: bytes,
    ) -> None:
        """`subject_key`: 32 secret bytes; the opaque `sub` of each account is made with it."""
        self.issuer = issuer
        self._client_id, self._assertions, self._signer = client_id, assertions, signer
        self._accounts = {account.login: account for account in accounts}
        self._subject_key = subject_key
        self._sessions = Bounded[SignedIn](_KEPT_MAX, lifetime_seconds=SESSION_SECONDS)
        self._interactions = Bounded[tuple[AuthenticationRequest, str]](_KEPT_MAX, lifetime_seconds=INTERACTION_SECONDS)
        self._codes = Bounded[tuple[AuthenticationRequest, SignedIn]](_KEPT_MAX, lifetime_seconds=CODE_SECONDS)
        self._failures = Bounded[int](_KEPT_MAX, lifetime_seconds=ATTEMPTS_SECONDS)
        self._nobody = password_hash("", salt=secrets.token_bytes(16))

    # --- the browser's side ---------------------------------------------------------------------------------

    def session(self, session_id: str | None, request: AuthenticationRequest, *, now: int) -> SignedIn | None:
        """Who is signed in, when that is enough for this request (Core §3.1.2.3). Raises ProviderRefusal:
        `login_required` when it is not and the customer must not be asked (prompt=none)."""
        signed_in = self._sessions.get(session_id or "", now=now)
        fresh = signed_in is not None and (request.max_age is None or now - signed_in.auth_time <= request.max_age)
        if fresh and "login" not in request.prompts:
            return signed_in
        if "none" in request.prompts:
            raise ProviderRefusal("login_required", "the customer is not signed in, or not freshly enough")
        return None

    def begin(self, request: AuthenticationRequest, browser: str, *, now: int) -> str:
        """The name of a sign-in that waits for login and password, in this browser alone (its cookie)."""
        return self._interactions.add((request, browser), now=now)

    def interaction(self, name: str, browser: str, *, now: int) -> AuthenticationRequest | None:
        request, began_in = self._interactions.get(name, now=now) or (None, "")
        return request if hmac.compare_digest(browser.encode(), began_in.encode()) else None

    def sign_in(self, login: str, password: str, *, now: int) -> SignedIn:
        """Raises SignInFailed. scrypt: takes some 50 ms, so it is called beside the event loop."""
        login = login[:INPUT_CHARACTERS_MAX]
        failures = self._failures.get(login, now=now) or 0
        if failures >= ATTEMPTS_MAX:
            raise SignInFailed(locked=True)
        # An unknown login costs as much as a wrong password, and looks the same.
        account = self._accounts.get(login)
        known = account.password_hash if account is not None else self._nobody
        if not _is_password(password, known) or account is None:
            self._failures.put(login, failures + 1, now=now)
            raise SignInFailed
        self._failures.take(login, now=now)
        return SignedIn(account=account, auth_time=now)

    def finish(self, name: str, signed_in: SignedIn, *, now: int) -> str:
        """The sign-in has succeeded: its session id, new with every sign-in."""
        self._interactions.take(name, now=now)
        return self._sessions.add(signed_in, now=now)

    def code(self, request: AuthenticationRequest, signed_in: SignedIn, *, now: int) -> str:
        return self._codes.add((request, signed_in), now=now)

    # --- the client's side ----------------------------------------------------------------------------------

    def token(self, form: Mapping[str, str], *, now: int) -> dict[str, object]:
        """The token response (Core §3.1.3.3). Raises ProviderRefusal."""
        self._assertions.check(form, now=now)
        if form.get("grant_type") != "authorization_code":
            raise ProviderRefusal("unsupported_grant_type", "only authorization_code is served")
        found = self._codes.take(form.get("code", ""), now=now)
        if found is None:
            raise ProviderRefusal("invalid_grant", _BAD_CODE)
        request, signed_in = found
        challenge = base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())  # RFC 7636 §4.6
        same = hmac.compare_digest(challenge.encode(), request.code_challenge.encode())
        if not same or form.get("redirect_uri") != request.redirect_uri:
            raise ProviderRefusal("invalid_grant", _BAD_CODE)
        return {
            "access_token": secrets.token_urlsafe(32),  # for nothing: there is no UserInfo endpoint
            "token_type": "Bearer",
            "expires_in": ID_TOKEN_SECONDS,
            "scope": " ".join(request.scopes),
            "id_token": self._id_token(request, signed_in, now=now),
        }

    def _id_token(self, request: AuthenticationRequest, signed_in: SignedIn, *, now: int) -> str:
        account = signed_in.account
        claims: dict[str, object] = {
            "iss": self.issuer,
            "sub": self._subject(account),
            "aud": self._client_id,
            "iat": now,
            "exp": now + ID_TOKEN_SECONDS,
            "auth_time": signed_in.auth_time,
            "acr": ACR,
            "amr": ["pwd"],  # RFC 8176
            OWNER_CLAIM: account.data_owner_id,
        }
        if request.nonce is not None:
            claims["nonce"] = request.nonce
        if CLAIMS_SCOPE in request.scopes:
            claims |= {"name": account.name, "name#zh-Hant": account.name_zh}  # Core §5.2
        return self._signer.sign_jws({"typ": "JWT"}, orjson.dumps(claims))

    def _subject(self, account: Account) -> str:
        return base64url(hmac.new(self._subject_key, account.data_owner_id.encode(), hashlib.sha256).digest())


def password_hash(password: str, *, salt: bytes) -> str:
    """scrypt, as `salt$hash` in base64."""
    derived = hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
    return f"{base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"


def _is_password(password: str, known: str) -> bool:
    salt = base64.b64decode(known.partition("$")[0])
    return hmac.compare_digest(password_hash(password[:INPUT_CHARACTERS_MAX], salt=salt), known)
