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
GRANT_SCOPES = ("grant_management_query", "grant_management_revoke")
CONSENT_SCOPE = "cdi:data-requests"
LOGIN_CLIENT_ID = "cdi-gateway"  # the gateway at the data owners' identity provider
OWNER_CLAIM = "data_owner_id"  # of that provider's ID tokens: the name that banks use for a data owner

TLS_CLIENT_AUTH, PRIVATE_KEY_JWT = "tls_client_auth", "private_key_jwt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An OAuth client with a certificate of its institution at the gateway. `label` names its folder below `clients/`.

    Clients of one institution (`participant_id`) agree in its name, role and document types.
    """

    label: str
    participant_id: str
    name: str
    client_id: str
    role: str
    document_types: tuple[str, ...]
    scopes: tuple[str, ...]
    common_name: str  # of its certificate
    authentication: str = TLS_CLIENT_AUTH
    redirect_uri: str | None = None  # nobody listens there: the sandbox's browser stops before it
    dpop: bool = False  # its tokens are bound by DPoP (RFC 9449) instead of its certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A mainland institution whose documents are registered with the platform."""

    label: str
    participant_id: str
    name: str
    document_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A data owner who can sign in. The password is no secret: it is printed for whoever tries the sandbox.

    `owner_id` is the `dataOwnerId` that banks use.
    """

    owner_id: str
    login: str
    password: str
    name: str
    name_zh: str


_BANK_SCOPES = (*MACHINE_SCOPES, *GRANT_SCOPES, CONSENT_SCOPE)


def _bank_a(label: str, client_id: str, common_name: str, authentication: str, *, dpop: bool = False) -> Client:
    return Client(
        label=label,
        participant_id="BANKA01DC",
        name="Bank A (sandbox)",
        client_id=client_id,
        role="bank",
        document_types=_ALL_DOCUMENT_TYPES,
        scopes=_BANK_SCOPES,
        common_name=common_name,
        authentication=authentication,
        redirect_uri="https://bank-a.sandbox.example/callback",
        dpop=dpop,
    )


CLIENTS = (
    _bank_a("bank-a", "bank-a-loans", "BANKA01DC", TLS_CLIENT_AUTH),
    Client(
        label="bank-b",
        participant_id="BANKB01DC",
        name="Bank B (sandbox)",
        client_id="bank-b-loans",
        role="bank",
        document_types=_ALL_DOCUMENT_TYPES,
        scopes=_BANK_SCOPES,
        common_name="BANKB01DC",
        redirect_uri="https://bank-b.sandbox.example/callback",
    ),
    Client(
        label="source-hk",
        participant_id="HKSOURCE1DP",
        name="Hong Kong Source (sandbox)",
        client_id="source-hk-registry",
        role="source",
        document_types=("PERSONAL_CREDIT_REPORT", "BANK_STATEMENT"),
        scopes=("cdi:evidence", "cdi:notices", "cdi:consents"),
        common_name="HKSOURCE1DP",
    ),
    _bank_a("bank-a-jwt", "bank-a-mobile", "BANKA01DC jwt", PRIVATE_KEY_JWT),
    _bank_a("bank-a-dpop", "bank-a-web", "BANKA01DC dpop", PRIVATE_KEY_JWT, dpop=True),
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
    Owner(
        owner_id="owner-7",
        login="owner-7",
        password="sandbox-owner-7",  # noqa: S106
        name="Example Trading Co., Ltd.",
        name_zh="示例貿易有限公司",
    ),
    Owner(
        owner_id="owner-8",
        login="owner-8",
        password="sandbox-owner-8",  # noqa: S106
        name="Data Owner 8",
        name_zh="資料當事人八號",
    ),
    Owner(
        owner_id="owner-9",
        login="owner-9",
        password="sandbox-owner-9",  # noqa: S106
        name="Data Owner 9",
        name_zh="資料當事人九號",
    ),
)
