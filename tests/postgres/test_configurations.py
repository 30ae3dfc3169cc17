"""Payment method configurations through access: at every node alike, and what they do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bailiwick.access.fanout import copies
from bailiwick.base.ids import is_id, node_of
from bailiwick.records.configurations import Configurations
from bailiwick.resources.payment_method_configurations import effect
from bailiwick.resources.payment_method_configurations.routes import CONFIGURATIONS_MAX
from tests.postgres.lists_kit import One, Site, site

LIST = "/v1/payment_method_configurations"
OFF = "[display_preference][preference]"
PAID = {
    "amount": "1999",
    "currency": "eur",
    "confirm": "true",
    "payment_method": "pm_card_visa",
    "location[country]": "DE",
}


@pytest.fixture
async def two(
    server_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    monkeypatch.setattr(copies, "EVERY_S", 3600.0)  # the tests say when
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        for each in made.nodes:
            each.bank.methods = frozenset({"card", "wallet"})
        yield made


async def do(it: Site, method: str, path: str, key: str | None = None, **params: Any) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    status, said = await it.ask(method, path, params, headers=headers)
    assert status == 200, said
    return said


async def refused(it: Site, method: str, path: str, **params: Any) -> tuple[int, str | None]:
    status, said = await it.ask(method, path, params)
    assert status >= 400, said
    return status, said["error"].get("param")


async def pay(it: Site, **params: Any) -> Any:
    return await do(it, "POST", "/v1/payment_intents", **{**PAID, **params})


async def test_everybody_has_a_default_and_makes_more(two: Site) -> None:
    (default,) = (await do(two, "GET", LIST))["data"]
    assert default["is_default"] and default["active"] and default["name"] == "Default"
    assert default["card"] == {
        "available": True,
        "display_preference": {"overridable": None, "preference": "none", "value": "on"},
    }
    made = await do(two, "POST", LIST, name="Shop", **{f"wallet{OFF}": "off", f"card{OFF}": "on"})
    assert is_id(made["id"], "pmc") and node_of(made["id"]) == 0
    assert not made["is_default"] and made["wallet"]["display_preference"]["value"] == "off"
    assert made["card"]["display_preference"]["preference"] == "on"
    assert not made["wallet"]["available"] and made["upi"]["available"]
    path = f"{LIST}/{made['id']}"
    assert await do(two, "GET", path) == made
    changed = await do(two, "POST", path, name="Till", active="false", **{f"wallet{OFF}": "none"})
    assert (changed["name"], changed["active"], changed["wallet"]["available"]) == (
        "Till", False, True,
    )  # fmt: skip
    assert changed["card"] == made["card"], "what is not named stays"
    listed = (await do(two, "GET", LIST))["data"]
    assert [each["id"] for each in listed] == [default["id"], made["id"]]
    assert (await do(two, "GET", LIST, active="false"))["data"] == [changed]
    first = await do(two, "GET", LIST, limit="1")
    assert (first["data"], first["has_more"]) == ([default], True)
    rest = await do(two, "GET", LIST, starting_after=default["id"])
    assert (rest["data"], rest["has_more"]) == ([changed], False)
    assert (await do(two, "GET", LIST, ending_before=made["id"]))["data"] == [default]


async def test_they_are_one_merchant_s_and_one_mode_s(two: Site) -> None:
    made = await do(two, "POST", LIST, name="Shop")
    for key in ("sk_test_other", "sk_live_first"):
        theirs = (await two.ask("GET", LIST, key=key))[1]["data"]
        assert len(theirs) == 1 and theirs[0]["is_default"] and theirs[0]["id"] != made["id"]
        for method in ("GET", "POST"):
            assert (await two.ask(method, f"{LIST}/{made['id']}", key=key))[0] == 404
        status, said = await two.ask(
            "POST", "/v1/payment_intents",
            {**PAID, "payment_method_configuration": made["id"]}, key=key,
        )  # fmt: skip
        assert (status, said["error"]["param"]) == (400, "payment_method_configuration")


async def test_a_key_makes_one(two: Site) -> None:
    made = await do(two, "POST", LIST, "k", name="Shop")
    await do(two, "POST", f"{LIST}/{made['id']}", name="Till")
    again = await do(two, "POST", LIST, "k", name="Shop")
    assert (again["id"], again["name"]) == (made["id"], "Till")
    status, said = await two.ask("POST", LIST, {"name": "Other"}, headers={"idempotency-key": "k"})
    assert (status, said["error"]["type"]) == (400, "idempotency_error")
    assert len((await do(two, "GET", LIST))["data"]) == 2


async def test_what_is_refused(two: Site) -> None:
    (default,) = (await do(two, "GET", LIST))["data"]
    assert await refused(two, "POST", f"{LIST}/{default['id']}", active="false") == (400, "active")
    assert await refused(two, "POST", LIST, **{f"klarma{OFF}": "on"}) == (400, "klarma")
    assert await refused(two, "POST", LIST, **{f"card{OFF}": "maybe"}) == (
        400, f"card{OFF}",
    )  # fmt: skip
    assert await refused(two, "POST", LIST, parent="pmc_1") == (400, "parent")
    assert await refused(two, "POST", LIST, name="") == (400, "name")
    assert await refused(two, "GET", LIST, starting_after="pmc_no") == (400, "starting_after")
    at = two.nodes[0]
    status, said = await two.ask("POST", LIST, {"name": "x"}, at=at)
    assert (status, said["error"]["code"]) == (400, "node_addressed")
    assert (await two.ask("PUT", LIST, {"name": "x"}, at=at))[0] == 403


async def test_what_no_channel_offers_is_kept_and_not_available(two: Site) -> None:
    made = await do(two, "POST", LIST, **{f"klarna{OFF}": "on", f"affirm{OFF}": "off"})
    assert (made["klarna"]["available"], made["affirm"]["available"]) == (False, False)
    assert made["klarna"]["display_preference"]["value"] == "on"
    assert "zip" not in made, "nobody has spoken of it"
    shown = await do(two, "POST", f"{LIST}/{made['id']}", **{f"zip{OFF}": "on"})
    assert not shown["zip"]["available"] and shown["klarna"] == made["klarna"]
    paid = await pay(two, payment_method_configuration=made["id"])
    assert paid["payment_method_types"] == ["card", "wallet"]


async def test_there_are_none_of_other_accounts(two: Site) -> None:
    assert (await do(two, "GET", LIST, application="ca_1"))["data"] == []
    assert len((await do(two, "GET", LIST, application=""))["data"]) == 1


async def test_there_is_a_bound(two: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from bailiwick.resources.payment_method_configurations import routes

    assert CONFIGURATIONS_MAX >= 16
    monkeypatch.setattr(routes, "CONFIGURATIONS_MAX", 2)
    for _ in range(2):
        await do(two, "POST", LIST, name="one more")
    assert await refused(two, "POST", LIST, name="too many") == (400, None)


async def test_a_payment_takes_what_is_on(two: Site) -> None:
    plain = await pay(two)
    assert plain["payment_method_types"] == ["card"], "as without any configuration"
    assert plain["payment_method_configuration_details"] is None
    made = await do(two, "POST", LIST, **{f"card{OFF}": "off"})
    paid = await pay(two, payment_method_configuration=made["id"], payment_method="tok_wallet")
    assert paid["payment_method_types"] == ["wallet"] and paid["status"] == "succeeded"
    assert paid["payment_method_configuration_details"] == {"id": made["id"], "parent": None}
    assert two.nodes[0].bank.calls[-1].payment_method_type == "wallet"
    both = await do(two, "POST", LIST, name="both")
    paid = await pay(two, payment_method_configuration=both["id"])
    assert paid["payment_method_types"] == ["card", "wallet"]
    assert await refused(
        two, "POST", "/v1/payment_intents",
        **{**PAID, "payment_method_configuration": both["id"], "payment_method_types[0]": "card"},
    ) == (400, "payment_method_configuration")  # fmt: skip
    await do(two, "POST", f"{LIST}/{both['id']}", active="false")
    wish = {**PAID, "payment_method_configuration": both["id"]}
    assert await refused(two, "POST", "/v1/payment_intents", **wish) == (
        400, "payment_method_configuration",
    )  # fmt: skip
    wish = {"payment_method_configuration": made["id"]}
    assert await refused(two, "POST", f"/v1/payment_intents/{paid['id']}", **wish) == (
        400, "payment_method_configuration",
    )  # fmt: skip


async def test_the_default_one_holds_for_all_that_name_none(two: Site) -> None:
    (default,) = (await do(two, "GET", LIST))["data"]
    await do(two, "POST", f"{LIST}/{default['id']}", **{f"wallet{OFF}": "off"})
    paid = await pay(two)
    assert paid["payment_method_types"] == ["card"]
    assert paid["payment_method_configuration_details"]["id"] == default["id"]
    ask = {"amount": "1999", "currency": "eur", "location[country]": "DE"}
    usable = await do(two, "GET", "/v1/available_payment_methods", **ask)
    assert [each["type"] for each in usable["data"]] == ["card"]
    named = await pay(two, **{"payment_method_types[0]": "wallet"}, payment_method="tok_w")
    assert named["payment_method_types"] == ["wallet"], "who names types is asked no further"
    await do(two, "POST", f"{LIST}/{default['id']}", **{f"card{OFF}": "off"})
    assert (await do(two, "GET", "/v1/available_payment_methods", **ask))["data"] == []
    assert await refused(two, "POST", "/v1/payment_intents", **PAID) == (
        400, "payment_method_configuration",
    )  # fmt: skip
    other = await do(two, "POST", LIST, name="other")
    ask["payment_method_configuration"] = other["id"]
    usable = await do(two, "GET", "/v1/available_payment_methods", **ask)
    assert {each["type"] for each in usable["data"]} == {"card", "wallet"}


async def test_a_key_that_was_used_is_answered_whatever_was_configured_since(two: Site) -> None:
    paid = await do(two, "POST", "/v1/payment_intents", "once", **PAID)
    (default,) = (await do(two, "GET", LIST))["data"]
    off = {f"{each}{OFF}": "off" for each in ("card", "wallet")}
    await do(two, "POST", f"{LIST}/{default['id']}", **off)
    again = await do(two, "POST", "/v1/payment_intents", "once", **PAID)
    assert again == paid


@asynccontextmanager
async def away(it: Site, node: One) -> AsyncIterator[None]:
    """It does not answer meanwhile; access knows when it is back."""

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    whole, node._build = node._build, silent
    yield
    node._build = whole
    await it.front.node_monitor.ask_all()


async def known(node: One) -> dict[str, int]:
    fresh = Configurations()
    await fresh.load(node.node.store)
    who = node.node.world.merchants.by_id["acct_1"]
    found = fresh.of(who.id, False, "pmc")
    memory = node.node.configurations.of(who.id, False, "pmc")
    assert [each.version for each in found] == [each.version for each in memory]
    return {each.id: each.version for each in found}


async def test_a_node_that_was_away_catches_up(two: Site) -> None:
    europe, apac = two.nodes
    made = await do(two, "POST", LIST, name="one")
    assert await known(europe) == await known(apac)
    async with away(two, apac):
        late = await do(two, "POST", f"{LIST}/{made['id']}", name="two")
        assert late["lagging_nodes"] == ["apac"]
    assert (await known(europe))[made["id"]] > (await known(apac))[made["id"]]
    assert await copies.compare(two.front) == 1
    assert await known(europe) == await known(apac)
    assert await copies.compare(two.front) == 0
    async with away(two, europe):
        assert (await do(two, "GET", f"{LIST}/{made['id']}"))["name"] == "two"


async def test_changes_at_once_are_all_kept(two: Site) -> None:
    made = await do(two, "POST", LIST, name="one")
    path, methods = f"{LIST}/{made['id']}", ("card", "wallet", "upi", "bank_transfer")
    done = await asyncio.gather(
        *(two.ask("POST", path, {f"{each}{OFF}": "off"}) for each in methods)
    )
    assert {status for status, _ in done} <= {200, 409}
    shown = await do(two, "GET", path)
    for each, (status, _) in zip(methods, done, strict=True):
        assert shown[each]["available"] is (status != 200)


def test_a_default_is_found_without_being_written() -> None:
    one = effect.default_of("acct_1", livemode=False)
    assert effect.is_default(one) and one.version == 0
    assert len({effect.default_of(who, mode).id for who in "ab" for mode in (True, False)}) == 4
