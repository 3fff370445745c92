"""The codec of the bank API: request bytes to checked values, values to response bytes, each by its schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.core import ijson, lifecycle
from gateway.core.canonical import canonical
from gateway.core.consent import DataRequest
from gateway.core.model import Consent, Digest, Exchange, Logged, Notice, Verdict
from gateway.errors import GatewayError, TooLarge
from gateway.profiles.cdi_v1 import parsing, rendering
from gateway.profiles.cdi_v1.parsing import ConsentRequest
from gateway.profiles.problem import problem
from gateway.profiles.validation import Validators


class CdiV1:
    """Parsers raise SchemaInvalid with violations. Renderers raise InvalidOutput rather than send a wrong message."""

    def __init__(self, validators: Validators, *, public_url: str, gateway_id: str, log_origin: str) -> None:
        """`public_url`: where banks fetch files. `gateway_id`: the participant that signs reports and receipts.
        `log_origin`: name of the audit log that receipts refer to."""
        self._validators = validators
        self._public_url = public_url
        self._gateway_id = gateway_id
        self._log_origin = log_origin

    def parse_consent_request(self, body: bytes) -> ConsentRequest:
        return parsing.consent_request(self._parse("consent-request", body))

    def parse_data_request(self, body: bytes) -> DataRequest:
        return parsing.data_request(self._parse("data-request-request", body))

    def parse_batch(self, body: bytes, items_max: int) -> list[DataRequest | GatewayError]:
        """One result per item, in order. Raises SchemaInvalid or TooLarge for the batch as a whole."""
        items = self._parse("data-request-batch", body)["requests"]
        if len(items) > items_max:
            raise TooLarge("The batch holds more requests than the limit")
        return [self._item(item, f"/requests/{index}") for index, item in enumerate(items)]

    def parse_revocation(self, body: bytes) -> str:
        """A code of revocation-reason."""
        return self._reason(self._parse("consent-revocation", body)["reason"])

    def parse_reception(self, body: bytes) -> tuple[str, str | None]:
        """`fileHash` (hex SHA-256) and `dataResponseId`, if given."""
        message = self._parse("data-reception", body)
        return message["fileHash"], message.get("dataResponseId")

    def parse_cancellation(self, body: bytes) -> str:
        """A code of revocation-reason. The body may be empty."""
        return self._reason(self._parse("data-cancellation", body or b"{}").get("reason"))

    def render_consent(self, consent: Consent, secret: str | None = None) -> bytes:
        """`secret`: given once, in the answer to the request for which the gateway made it."""
        return self._render("consent", rendering.consent(consent, secret))

    def render_consents(self, consents: Sequence[Consent], following: str | None = None) -> bytes:
        """`following`: the id behind which the next page begins; None on the last page."""
        body: dict[str, Any] = {"consents": [rendering.consent(consent) for consent in consents]}
        return self._render("consent-list", _with_next(body, following))

    def render_exchange(self, exchange: Exchange) -> bytes:
        return self._render("data-request", rendering.exchange(exchange, self._public_url))

    def render_exchanges(self, exchanges: Sequence[Exchange], following: str | None = None) -> bytes:
        body: dict[str, Any] = {
            "dataRequests": [rendering.exchange(exchange, self._public_url) for exchange in exchanges]
        }
        return self._render("data-request-list", _with_next(body, following))

    def render_batch(self, results: Sequence[Exchange | GatewayError], instance: str) -> bytes:
        """Each result with the status that it would have had alone; `instance` is the interaction id."""
        return self._render(
            "data-request-batch-result", {"results": [self._result(result, instance) for result in results]}
        )

    def render_notices(self, notices: Sequence[tuple[Notice, str | None]], following: int) -> bytes:
        """Each with its signed form, if it has one. `following`: the cursor to continue with, also when there is
        nothing new."""
        body = {"notices": [rendering.notice(notice, token) for notice, token in notices], "next": following}
        return self._render("signed-notice-list", body)

    def consent_event_payload(self, notice: Notice, now: float) -> bytes | None:
        """The RFC 8785 bytes of what is signed of a notice; None for those that are not about a consent's status."""
        if notice.type not in rendering.CONSENT_EVENTS:
            return None
        body = rendering.consent_event(notice, gateway_id=self._gateway_id, now=int(now))
        self._validators.assert_valid("cdi/v1/consent-event", body)
        return canonical(body)

    def consent_receipt_payload(self, consent: Consent, now: float) -> bytes:
        """The RFC 8785 bytes of a data owner's receipt, to be signed."""
        body = rendering.consent_receipt(consent, gateway_id=self._gateway_id, now=int(now))
        self._validators.assert_valid("cdi/v1/consent-receipt", body)
        return canonical(body)

    def render_digests(self, size: int, digests: Sequence[Digest]) -> bytes:
        """`size` in bytes."""
        return self._render("digests", {"size": size, "digests": rendering.digests(digests)})

    def report_payload(self, exchange: Exchange, verdict: Verdict, now: float) -> bytes:
        """The RFC 8785 bytes of the verification report, to be signed. `now` in Unix seconds."""
        body = rendering.report(exchange, verdict, gateway_id=self._gateway_id, now=int(now))
        self._validators.assert_valid("cdi/v1/verification-report", body)
        return canonical(body)

    def receipt_payload(
        self, exchange: Exchange, consent: Consent, verdict: Verdict, logged: Logged, now: float
    ) -> bytes:
        """The RFC 8785 bytes of the receipt, to be signed. `logged`: the record of this outcome."""
        body = rendering.receipt(
            exchange,
            consent,
            verdict,
            gateway_id=self._gateway_id,
            log=rendering.place(logged, self._log_origin),
            record_id=logged.record_id,
            now=int(now),
        )
        self._validators.assert_valid("cdi/v1/receipt", body)
        return canonical(body)

    def render_proof_pending(self, exchange: Exchange, logged: Logged, covered: int) -> bytes:
        """`covered`: the size of the newest published checkpoint."""
        body = {
            "dataRequestId": exchange.exchange_id,
            "log": rendering.place(logged, self._log_origin),
            "covered": covered,
        }
        return self._render("proof-pending", body)

    def _parse(self, schema: str, body: bytes) -> dict[str, Any]:
        message: dict[str, Any] = ijson.parse(body)
        self._validators.check(f"cdi/v1/{schema}", message)
        return message

    def _reason(self, text: str | None) -> str:
        # Free text may name a person: what is no code becomes OTHER and is not kept.
        return text if text is not None and self._validators.is_valid("codelists/revocation-reason", text) else "OTHER"

    def _item(self, item: dict[str, Any], at: str) -> DataRequest | GatewayError:
        try:
            self._validators.check("cdi/v1/data-request-request", item, at=at)
            return parsing.data_request(item, at)
        except GatewayError as error:
            return error

    def _result(self, result: Exchange | GatewayError, instance: str) -> dict[str, Any]:
        if isinstance(result, GatewayError):
            return {"status": result.status, "problem": problem(result, instance)}
        status = 202 if result.status in lifecycle.OPEN_EXCHANGE else 200
        return {"status": status, "dataRequest": rendering.exchange(result, self._public_url)}

    def _render(self, schema: str, body: dict[str, Any]) -> bytes:
        self._validators.assert_valid(f"cdi/v1/{schema}", body)
        return orjson.dumps(body)


def _with_next(body: dict[str, Any], following: str | None) -> dict[str, Any]:
    if following is not None:
        body["next"] = following
    return body
