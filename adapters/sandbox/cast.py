"""Who takes part in the sandbox: ids, names, what each may do. Data only; all of them are invented."""

from __future__ import annotations

from dataclasses import dataclass

GATEWAY_ID = "HKGATEWAY01"
PLATFORM_ID = "DVPSANDBOX01"
AUDIT_ORIGIN = "sandbox.example/audit"  # name of the gateway's audit log
WITNESS_NAME = "sandbox.example/witness"  # name of the witness's key

_ALL_DOCUMENT_TYPES = ("CORPORATE_CREDIT_REPORT", "PERSONAL_CREDIT_REPORT", "BANK_STATEMENT", "DEPOSIT_CERTIFICATE")
PURPOSES = ("SME_LOAN_UNDERWRITING",)
MACHINE_SCOPES = ("cdi:consents", "cdi:data-requests:read", "cdi:notices")
CONSENT_SCOPE = "cdi:data-requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An institution with a certificate at the gateway. `label` names its folder below `clients/`."""

    label: str
    participant_id: str
    name: str
    client_id: str
    role: str
    document_types: tuple[str, ...]
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A mainland institution whose documents are registered with the platform."""

    label: str
    participant_id: str
    name: str
    document_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A data owner who can sign in. The password is no secret: it is printed for whoever tries the sandbox."""

    owner_id: str
    login: str
    password: str


CLIENTS = (
    Client(
        label="bank-a",
        participant_id="BANKA01DC",
        name="Bank A (sandbox)",
        client_id="bank-a-loans",
        role="bank",
        document_types=_ALL_DOCUMENT_TYPES,
        scopes=(*MACHINE_SCOPES, CONSENT_SCOPE),
    ),
    Client(
        label="bank-b",
        participant_id="BANKB01DC",
        name="Bank B (sandbox)",
        client_id="bank-b-loans",
        role="bank",
        document_types=_ALL_DOCUMENT_TYPES,
        scopes=(*MACHINE_SCOPES, CONSENT_SCOPE),
    ),
    Client(
        label="source-hk",
        participant_id="HKSOURCE1DP",
        name="Hong Kong Source (sandbox)",
        client_id="source-hk-registry",
        role="source",
        document_types=("PERSONAL_CREDIT_REPORT", "BANK_STATEMENT"),
        scopes=("cdi:evidence", "cdi:notices"),
    ),
)

CREDIT_SOURCE = Source(
    label="shenzhen-credit",
    participant_id="SZCREDIT01DP",
    name="Shenzhen Credit Source (sandbox)",
    document_types=("CORPORATE_CREDIT_REPORT", "PERSONAL_CREDIT_REPORT"),
)
BANK_SOURCE = Source(
    label="shenzhen-bank",
    participant_id="SZBANK0001DP",
    name="Shenzhen Bank Source (sandbox)",
    document_types=("BANK_STATEMENT", "DEPOSIT_CERTIFICATE"),
)
SOURCES = (CREDIT_SOURCE, BANK_SOURCE)

OWNERS = (
    Owner(owner_id="owner-7", login="owner-7", password="sandbox-owner-7"),  # noqa: S106
    Owner(owner_id="owner-8", login="owner-8", password="sandbox-owner-8"),  # noqa: S106
)
