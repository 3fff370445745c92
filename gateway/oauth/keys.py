"""A token issuer's public keys as a value: parsed once from a JWKS (RFC 7517), each for exactly one algorithm.

What is not a public signature key of a known kind is left out (RFC 7517 §5). A set that holds secret key material,
or two keys of one name, is refused as a whole: its publisher made a mistake that nobody should build on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.core.ijson import parse
from gateway.errors import SchemaInvalid

KEYS_MAX = 64
KEY_ID_CHARACTERS_MAX = 256
RSA_BITS_MIN = 2_048
RSA_BITS_MAX = 8_192

# RFC 7518 §6.2.2, §6.3.2, §6.4 and RFC 8037 §2: members that exist in private and symmetric keys only.
_SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KINDS: dict[str, type[ECKey] | type[RSAKey] | type[OKPKey]] = {"ES256": ECKey, "PS256": RSAKey, "EdDSA": OKPKey}
_MODELS = {name: JWSRegistry.algorithms[name] for name in ("PS256", "ES256", "EdDSA")}


class KeysInvalid(Exception):
    """The document is not a key set that can be used. The message is a code without values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """One public key and the one algorithm that it is used with."""

    key_id: str | None
    algorithm: str
    key: Key

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether this key made the signature (RFC 7515 §5.2) with its algorithm."""
        return _MODELS[self.algorithm].verify(signing_input, signature, self.key)


class KeySet:
    """Immutable. A changed JWKS is a new KeySet, so that what was derived from the old one can be told apart."""

    def __init__(self, keys: Sequence[VerificationKey]) -> None:
        self._keys = tuple(keys)
        self._named = {(key.key_id, key.algorithm): key for key in keys if key.key_id is not None}
        if len(self._named) != sum(key.key_id is not None for key in keys):
            raise KeysInvalid("duplicate_key_id")

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, algorithm: str, key_id: str | None) -> VerificationKey | None:
        """The key of this name and algorithm; without a name, the only one for the algorithm."""
        if key_id is not None:
            return self._named.get((key_id, algorithm))
        fitting = [key for key in self._keys if key.algorithm == algorithm]
        return fitting[0] if len(fitting) == 1 else None


def parse_keys(data: bytes) -> KeySet:
    """A JWKS document's usable keys. Raises KeysInvalid."""
    try:
        document = parse(data)
    except SchemaInvalid as error:
        raise KeysInvalid("not_json") from error
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise KeysInvalid("not_a_key_set")
    if len(members) > KEYS_MAX:
        raise KeysInvalid("too_many_keys")
    if any(member.get("kty") == "oct" or not _SECRET_MEMBERS.isdisjoint(member) for member in members):
        raise KeysInvalid("secret_key_published")
    keys = KeySet([key for member in members if (key := _key(member)) is not None])
    if not len(keys):
        raise KeysInvalid("no_usable_key")
    return keys


def public_key(member: Mapping[str, Any]) -> VerificationKey | None:
    """One JWK as a key, or None when it is not a public signature key of a kind that is used here."""
    if member.get("kty") == "oct" or not _SECRET_MEMBERS.isdisjoint(member):
        return None
    return _key(member)


def _key(member: Mapping[str, Any]) -> VerificationKey | None:
    algorithm = _algorithm(member)
    key_id = member.get("kid")
    if algorithm is None or not (key_id is None or (isinstance(key_id, str) and len(key_id) <= KEY_ID_CHARACTERS_MAX)):
        return None
    # Only what makes the key: `x5c`, `x5u` and the like are not looked at.
    material = {name: member[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in member}
    try:
        key = _KINDS[algorithm].import_key(material)
        if isinstance(key, RSAKey) and not RSA_BITS_MIN <= key.public_key.key_size <= RSA_BITS_MAX:
            return None
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None  # not a key, e.g. a point that is not on its curve
    return VerificationKey(key_id=key_id, algorithm=algorithm, key=key)


def _algorithm(member: Mapping[str, Any]) -> str | None:
    """The algorithm that this key is for, or None when it is not a signature key of a kind that is used here."""
    if member.get("use", "sig") != "sig":
        return None
    operations = member.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    kind, curve = member.get("kty"), member.get("crv")
    if kind == "RSA":
        algorithm = "PS256"
    elif kind == "EC" and curve == "P-256":
        algorithm = "ES256"
    elif kind == "OKP" and curve == "Ed25519":
        algorithm = "EdDSA"
    else:
        return None
    return algorithm if member.get("alg", algorithm) == algorithm else None
