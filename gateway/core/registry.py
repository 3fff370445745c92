"""The participant registry as a value: who holds which certificate, and who may issue what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.core.model import Certificate, Participant, Role


class Registry:
    """Immutable after construction; a reload builds a new one and swaps it."""

    def __init__(self, participants: Iterable[Participant]) -> None:
        self._by_id = {participant.participant_id: participant for participant in participants}
        self._by_thumbprint: dict[str, Participant] = {}
        self._by_name: dict[tuple[str, str], Participant] = {}
        for participant in self._by_id.values():
            for rule in participant.certificates:
                if rule.sha256 is not None:
                    self._by_thumbprint[rule.sha256] = participant
                elif rule.issuer is not None and rule.subject is not None:
                    self._by_name[rule.issuer, rule.subject] = participant

    def __iter__(self) -> Iterator[Participant]:
        return iter(self._by_id.values())

    def by_certificate(self, certificate: Certificate) -> Participant | None:
        """By thumbprint, else by issuer and subject together."""
        return self._by_thumbprint.get(certificate.sha256) or self._by_name.get(
            (certificate.issuer, certificate.subject)
        )

    def by_id(self, participant_id: str) -> Participant | None:
        return self._by_id.get(participant_id)

    def entitled(self, issuer_id: str, document_type: str) -> bool:
        """Whether this source may issue this kind of document now."""
        source = self._by_id.get(issuer_id)
        return (
            source is not None
            and source.active
            and source.role is Role.SOURCE
            and document_type in source.document_types
        )
