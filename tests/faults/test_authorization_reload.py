"""SIGHUP with other clients in participants.yaml counts at once, for what was begun before too; keys rotate."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
import pytest_asyncio
import yaml

from adapters.sandbox.credentials import TOKEN_KEY
from adapters.sandbox.signing import KeySigner, write_jwks
from tests.end_to_end.fapi import CALLBACK, JWT, TLS, check_refusal
from tests.faults.authorization import Trial, place, trial_in
from tests.live_sandbox import Scene, configured

pytestmark = pytest.mark.asyncio(loop_scope="session")

ELSEWHERE = "https://bank-a.sandbox.example/elsewhere"
MACHINE = {"grant_type": "client_credentials", "scope": "cdi:consents"}
JWKS = "clients/bank-a-jwt/jwks.json"


@pytest_asyncio.fixture(loop_scope="session")
async def trial(scene: Scene) -> AsyncIterator[Trial]:
    """What a test changes in the world's files is undone and read again."""
    folder = scene.world.folder
    before = {name: (folder / name).read_bytes() for name in ("participants.yaml", JWKS)}
    async with trial_in(scene) as trial:
        yield trial
        for name, content in before.items():
            (folder / name).write_bytes(content)
        await trial.fapi.stage.reload()


Change = Callable[[dict[str, Any], list[dict[str, Any]]], None]


async def changed(trial: Trial, label: str, change: Change, *, done: bool = True) -> None:
    """Change the client of this label, or the list that it is in, and read it again; `done`: it is taken."""
    file = trial.scene.world.folder / "participants.yaml"
    known = yaml.safe_load(file.read_bytes())
    for participant in known["participants"]:
        clients = participant.get("clients", [])
        for client in [one for one in clients if one["id"] == trial.fapi.id(label)]:
            change(client, clients)
    file.write_text(yaml.safe_dump(known))
    await trial.fapi.stage.reload(done=done)


async def test_a_client_that_is_removed_is_nobodys_at_once(trial: Trial) -> None:
    fapi = trial.fapi
    machine = (await fapi.ask("token", TLS, MACHINE)).json["access_token"]
    pushed, form = await trial.asked()
    answer = (await fapi.redeem(await trial.approve(pushed, form))).json
    asked, open_form = await trial.asked()
    code = await trial.approve(*(await trial.asked()))
    await changed(trial, TLS, lambda client, clients: clients.remove(client))

    check_refusal(await fapi.push(consent=pushed.consent), "invalid_client", 401)
    check_refusal(await fapi.redeem(code), "invalid_client", 401)
    refresh = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    check_refusal(await fapi.ask("token", TLS, refresh), "invalid_client", 401)
    assert (await trial.used(pushed.consent, answer["access_token"])).status == 401
    assert (await fapi.call("GET", "/cdi/v1/consents", machine)).status == 401
    # Its open request leads nowhere, and nothing is decided for it.
    assert (await trial.owner.get(place(asked))).status == 410
    assert (await trial.owner.post(place(asked), open_form)).status == 410
    assert (await trial.owner.follow(await trial.owner.get(asked.url))).status == 410


async def test_a_client_that_is_back_goes_on_where_it_was(trial: Trial) -> None:
    pushed, form = await trial.asked()
    removed: list[dict[str, Any]] = []

    def take(client: dict[str, Any], clients: list[dict[str, Any]]) -> None:
        clients.remove(client)
        removed.append(client)

    await changed(trial, TLS, take)
    check_refusal(await trial.fapi.push(consent=pushed.consent), "invalid_client", 401)
    await changed(trial, JWT, lambda _client, clients: clients.append(removed[0]))
    assert (await trial.fapi.redeem(await trial.approve(pushed, form))).status == 200


async def test_a_client_that_is_new_is_served_at_once(trial: Trial) -> None:
    fapi = trial.fapi
    fapi.clients["new"] = fapi.clients[JWT] | {"clientId": "bank-a-new"}
    check_refusal(await fapi.push("new"), "invalid_client", 401)
    await changed(trial, JWT, lambda client, clients: clients.append({**client, "id": "bank-a-new"}))
    consent = await fapi.consent()
    pushed = await fapi.pushed("new", consent)
    assert (await fapi.redeem(await trial.approve(pushed, await trial.form(pushed)))).status == 200


async def test_a_redirect_uri_that_is_no_longer_the_clients_is_not_gone_to(trial: Trial) -> None:
    fapi = trial.fapi
    asked, form = await trial.asked()
    code = await trial.approve(*(await trial.asked()))
    await changed(trial, TLS, lambda client, _: client.update(redirect_uris=[ELSEWHERE]))

    assert (await trial.owner.post(place(asked), form)).status == 410
    assert await trial.status(asked.consent) == "ConsentSubmitted"
    check_refusal(await fapi.push(redirect_uri=CALLBACK), "invalid_request")
    assert (await fapi.redeem(code)).status == 200  # it came back where it was right then
    new = await fapi.pushed(redirect_uri=ELSEWHERE)
    await trial.form(new)
    policy = (await trial.owner.get(place(new))).headers["Content-Security-Policy"]
    assert policy.endswith("form-action 'self' https://bank-a.sandbox.example")


async def test_a_clients_new_key_counts_and_its_old_one_no_more(trial: Trial) -> None:
    fapi, folder = trial.fapi, trial.scene.world.folder
    old = fapi.key(JWT)
    answer = await fapi.tokens(JWT)
    new = KeySigner.create("rotated-1")
    new.write(folder / "rotated.pem")
    write_jwks(folder / JWKS, [new])
    assert (await fapi.ask("token", JWT, MACHINE)).status == 200  # not before it is told to read
    await fapi.stage.reload()
    check_refusal(await fapi.ask("token", JWT, MACHINE), "invalid_client", 401)
    fapi.clients[JWT] = fapi.clients[JWT] | {"signingKey": "rotated.pem", "signingKeyId": "rotated-1"}
    assert (await fapi.ask("token", JWT, MACHINE)).status == 200
    forged = fapi.assertion(JWT, key=old)  # by the new key's name
    form = MACHINE | fapi.credentials(JWT) | {"client_assertion": forged}
    check_refusal(await fapi.post("token", form, JWT), "invalid_client", 401)
    refresh = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    assert (await fapi.ask("token", JWT, refresh)).status == 200  # its grants are its own still


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": ["http://bank-a.sandbox.example/callback"]},
        {"scopes": ["with blank"]},
        {"jwks_file": "gone.json"},
        {"jwks_file": None},
        {"id": "bank-b-loans"},
        {"surprise": 1},
    ],
    ids=str,
)
async def test_a_wrong_client_changes_nothing(wrong: dict[str, Any], trial: Trial) -> None:
    await changed(trial, JWT, lambda client, _: client.update(wrong), done=False)
    assert (await trial.fapi.ask("token", JWT, MACHINE)).status == 200


async def test_tokens_outlive_the_rotation_of_the_servers_key(trial: Trial) -> None:
    """As an operator does it: the new key is published first, then it signs, and at last the old one goes."""
    fapi, world = trial.fapi, trial.scene.world
    first = {"file": f"gateway/keys/{TOKEN_KEY}.pem", "id": TOKEN_KEY}
    second = {"file": "gateway/keys/tokens-2.pem", "id": "tokens-2"}
    KeySigner.create("tokens-2").write(world.folder / second["file"])
    server = yaml.safe_load((world.folder / "gateway.yaml").read_bytes())["oauth"]["server"]

    def signed_by(*keys: dict[str, str]) -> dict[str, Any]:
        return {"oauth": {"server": server | {"signing_keys": list(keys)}}}

    consent = await fapi.consent()
    old = (await fapi.tokens(TLS, consent))["access_token"]
    assert header_of(old)["kid"] == TOKEN_KEY
    async with configured(world, signed_by(second, first)):
        published = (await fapi.send("GET", f"{fapi.issuer}/oauth/jwks", None)).json["keys"]
        assert [key["kid"] for key in published] == ["tokens-2", TOKEN_KEY]
        assert all("d" not in key for key in published)
        assert (await trial.used(consent, old)).status == 200
        new = (await fapi.ask("token", TLS, MACHINE)).json["access_token"]
        assert header_of(new)["kid"] == "tokens-2"
        assert (await fapi.call("GET", "/cdi/v1/consents", new)).status == 200
    async with configured(world, signed_by(second)):
        refused = await trial.used(consent, old)
        assert (refused.status, refused.code) == (401, "TOKEN_INVALID")
        assert (await fapi.call("GET", "/cdi/v1/consents", new)).status == 200


def header_of(token: str) -> dict[str, Any]:
    head = token.partition(".")[0]
    found: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    return found
