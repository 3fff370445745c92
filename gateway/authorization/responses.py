"""How the browser carries an authorization response back: RFC 6749 §4.1.2, `iss` (RFC 9207), JARM where asked for."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import orjson

from gateway.oauth.grant import AuthorizationRequest
from gateway.ports import Signer

JARM_SECONDS = 300
JARM_TYPE = "oauth-authz-resp+jwt"


class Responses:
    def __init__(self, *, issuer: str, signer: Signer) -> None:
        self._issuer = issuer
        self._signer = signer

    def url(self, request: AuthorizationRequest, answer: Mapping[str, str], *, now: float) -> str:
        """Where the browser goes. `answer`: `code`, or `error` with its description."""
        parameters = {**answer, "iss": self._issuer}
        if request.state is not None:
            parameters["state"] = request.state
        if request.response_mode == "query.jwt":
            claims = {**parameters, "aud": request.client_id, "exp": int(now) + JARM_SECONDS, "iat": int(now)}
            parameters = {"response": self._signer.sign_jws({"typ": JARM_TYPE}, orjson.dumps(claims))}
        joint = "&" if "?" in request.redirect_uri else "?"
        return f"{request.redirect_uri}{joint}{urlencode(parameters, quote_via=quote)}"


def denied(description: str) -> dict[str, str]:
    return {"error": "access_denied", "error_description": description}


def unmet() -> dict[str, str]:
    """OpenID Connect Core Unmet Authentication Requirements 1.0."""
    return {
        "error": "unmet_authentication_requirements",
        "error_description": "The data owner could not sign in as the request demands",
    }
