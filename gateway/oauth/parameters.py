"""OAuth parameters as they come in a form or a query: each once, bounded, without control characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gateway.oauth.refusal import OAuthRefusal

PARAMETERS_MAX = 64
NAME_CHARACTERS_MAX = 64
VALUE_CHARACTERS_MAX = 16_384

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def form(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters by name. One without a value counts as omitted (RFC 6749 §3.1). Raises OAuthRefusal."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for number, (name, value) in enumerate(pairs, 1):
        if number > PARAMETERS_MAX or len(name) > NAME_CHARACTERS_MAX or len(value) > VALUE_CHARACTERS_MAX:
            raise OAuthRefusal("invalid_request", "The parameters are beyond the limits", reason="too_large")
        if _CONTROL.search(name) or _CONTROL.search(value):
            raise OAuthRefusal("invalid_request", "A parameter holds a control character", reason="control_character")
        if name in seen:
            raise OAuthRefusal("invalid_request", "A parameter is given twice", reason="repeated_parameter")
        seen.add(name)
        if value:
            found[name] = value
    return found


def target(parameters: Mapping[str, str], resource: str) -> None:
    """A token is for this gateway alone (RFC 8707 §2). Raises OAuthRefusal `invalid_target` for another resource."""
    if parameters.get("resource", resource) != resource:
        raise OAuthRefusal("invalid_target", "Tokens for another resource are not issued here", reason="resource")
