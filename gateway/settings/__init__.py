"""The typed configuration: `gateway.yaml`, `participants.yaml`, and what the environment overrides.

`load` gives both files or every mistake of both at once. Nothing else reads a configuration.
"""

from gateway.settings.loading import ENV_PREFIX, Codes, SettingsError, config_hash, load, load_participants
from gateway.settings.participants import CertificateSettings, Participants, ParticipantSettings
from gateway.settings.sections import (
    Audit,
    Breaker,
    Deployment,
    ExchangeSettings,
    Issuer,
    Limits,
    Listener,
    Log,
    OAuth,
    PlatformSettings,
    Rates,
    RateSetting,
    Reports,
    Secrets,
    Section,
    Settings,
    Store,
    TlsListener,
)

__all__ = [
    "ENV_PREFIX",
    "Audit",
    "Breaker",
    "CertificateSettings",
    "Codes",
    "Deployment",
    "ExchangeSettings",
    "Issuer",
    "Limits",
    "Listener",
    "Log",
    "OAuth",
    "ParticipantSettings",
    "Participants",
    "PlatformSettings",
    "RateSetting",
    "Rates",
    "Reports",
    "Secrets",
    "Section",
    "Settings",
    "SettingsError",
    "Store",
    "TlsListener",
    "config_hash",
    "load",
    "load_participants",
]
