"""The cast fits together: names that must differ do, and an institution's clients agree about it."""

from __future__ import annotations

import pytest

from adapters.sandbox.cast import CLIENTS, OWNERS, PRIVATE_KEY_JWT, Client


@pytest.mark.parametrize("name", ["label", "client_id", "common_name"])
def test_no_two_clients_share_a_name(name: str) -> None:
    values = [getattr(client, name) for client in CLIENTS]
    assert len(set(values)) == len(values)


def test_clients_of_one_institution_agree_about_it() -> None:
    institutions: dict[str, set[tuple[object, ...]]] = {}
    for client in CLIENTS:
        said = (client.name, client.role, client.document_types)
        institutions.setdefault(client.participant_id, set()).add(said)
    assert [name for name, said in institutions.items() if len(said) > 1] == []


def test_tokens_are_bound_by_dpop_where_the_client_has_a_key() -> None:
    bound: list[Client] = [client for client in CLIENTS if client.dpop]
    assert [client.authentication for client in bound] == [PRIVATE_KEY_JWT]


def test_each_owner_signs_in_as_somebody_else() -> None:
    assert len({owner.login for owner in OWNERS}) == len({owner.owner_id for owner in OWNERS}) == len(OWNERS) == 3
