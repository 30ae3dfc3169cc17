"""Restricted keys: each route, each kind of key, each permission; made from what is declared."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest import mock

import falcon.testing
import pytest
from access_kit import PUBLISHABLE, SECRET, Access, access, write_world

from bailiwick import resources
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.interlink.permissions import FREE, OTHERS, Permissions
from bailiwick.node.app import build as build_node
from bailiwick.resources import declared
from bailiwick.topology import merchants
from bailiwick.topology.merchants import Merchant, Merchants, Principal, key_hash
from bailiwick.topology.reading import WorldError

EVERY = resources.every()
PERMISSIONS = Permissions(EVERY)
ROUTES = [
    (each.object, path.template, method)
    for each in EVERY
    for path in each.paths
    for method in path.methods
] + [(of, template, "POST") for template, of in OTHERS.items()]
OBJECTS = sorted({each.object for each in EVERY})
PREFIXES = {each.object: each.prefix for each in EVERY}
GRANTS = ("nothing", "none", "read", "write", "others")
"""What a restricted key of the tests is told of a route's resource; "others": all but it."""


def key_of(of: str, grant: str) -> str:
    return f"rk_test_{of}_{grant}"


def grants_of(of: str, grant: str) -> dict[str, str]:
    if grant == "others":
        return {each: "write" for each in OBJECTS if each != of}
    return {} if grant == "nothing" else {of: grant}


KEYS = {key_of(of, grant): grants_of(of, grant) for of in OBJECTS for grant in GRANTS}


def allowed(method: str, grant: str) -> bool:
    return grant == "write" or (grant == "read" and method == "GET")


def target(template: str) -> str:
    """A path of this template."""
    under = template.removeprefix("/v1/").partition("/")[0]
    of = next((it.object for it in EVERY if it.path == f"/v1/{under}"), "account")
    named = new_id(PREFIXES[of] or "none", 1, 1_700_000_000_000)
    named = "acct_demo" if of == "account" else named
    other = new_id("pm", 1, 1_700_000_000_000)
    return re.sub(r"{\w+}", other, template.replace("{identifier}", named))


def written() -> str:
    """The keys as merchants.toml has them."""
    lines = []
    for key, kind in ((SECRET, "secret"), (PUBLISHABLE, "publishable")):
        lines += ["[[merchants.keys]]", f'sha256 = "{key_hash(key)}"']
        lines += [f'kind = "{kind}"', 'mode = "test"']
    for key, grants in KEYS.items():
        inline = ", ".join(f'"{name}" = "{verb}"' for name, verb in grants.items())
        lines += ["[[merchants.keys]]", f'sha256 = "{key_hash(key)}"', 'kind = "restricted"']
        lines += ['mode = "test"', f'last4 = "{key[-4:]}"', f"permissions = {{ {inline} }}"]
    return "\n".join(lines)


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Access]:
    async with access(tmp_path) as it:
        nodes = {node.name: (node.number, node.url) for node in it.nodes}
        with mock.patch.object(merchants, "MOST_KEYS", 1_000):
            write_world(tmp_path, nodes, epoch=2, keys=written())
            await it.front.current.check(force=True)
        assert it.front.world.epoch == 2
        yield it


def refusal(status: int, body: bytes) -> str:
    """What a key lacks, as the answer says; "" for any other answer."""
    error = json.loads(body).get("error") or {} if status == 403 else {}
    message = error.get("message", "")
    return message if "does not have the required permissions" in message else ""


def expected(of: str, method: str, grant: str) -> str:
    verb = "read" if method == "GET" else "write"
    return (
        f"The provided key 'rk_test_***{key_of(of, grant)[-4:]}' does not have the required "
        f"permissions for this endpoint on account 'acct_demo'. Having the 'rak_{of}_{verb}' "
        "permission would allow this request to continue."
    )


async def test_access_asks_for_what_is_declared(front: Access) -> None:
    for of, template, method in ROUTES:
        for grant in GRANTS:
            before = [len(node.calls) for node in front.nodes]
            answer = await front.call(method, target(template), key=key_of(of, grant))
            said = refusal(answer.status, answer.body)
            if allowed(method, grant):
                assert said == "", (template, method, grant)
            else:
                assert said == expected(of, method, grant), (template, method, grant)
                assert [len(node.calls) for node in front.nodes] == before
        answer = await front.call(method, target(template), key=SECRET)
        assert refusal(answer.status, answer.body) == ""


def test_nodes_ask_for_the_same() -> None:
    found = merchants.Merchants((), {}, {})
    with mock.patch.object(merchants, "MOST_KEYS", 1_000):
        text = f'[[merchants]]\nid = "acct_demo"\nname = "Demo"\n{written()}'
        found = merchants.parse(text.encode())
    node: Any = mock.MagicMock(number=1, superseded_by=None, permissions=PERMISSIONS)
    node.load.open, node.load.header = 0, lambda epoch: "{}"
    node.load.turn = mock.AsyncMock(return_value=mock.MagicMock())
    node.world.merchants = found
    client = falcon.testing.TestClient(build_node(node))
    for of, template, method in ROUTES:
        for grant in GRANTS:
            headers = {"Authorization": f"Bearer {key_of(of, grant)}"}
            answer = client.simulate_request(method, target(template), headers=headers)
            said = refusal(answer.status_code, answer.content)
            wanted = "" if allowed(method, grant) else expected(of, method, grant)
            assert said == wanted, (template, method, grant)
        headers = {"Authorization": f"Bearer {SECRET}"}
        answer = client.simulate_request(method, target(template), headers=headers)
        assert refusal(answer.status_code, answer.content) == "", (template, method)


async def test_what_no_resource_declares_is_closed_or_public(front: Access) -> None:
    key = key_of("refund", "write")
    status, shown = await front.json("GET", "/v1/topology", key=key)
    assert (status, "usage" in shown["nodes"][0]) == (200, False)
    assert set(FREE) == {"/v1/topology", "/internal/residency/{identifier}"}
    who = front.front.world.merchants.by_key(key)
    assert who is not None and who.kind == "secret"
    with pytest.raises(ApiError) as refused:
        PERMISSIONS.require(who, "/v1/forgotten", "GET")
    assert refused.value.status == 403


async def test_an_expansion_needs_reading_too(front: Access) -> None:
    read = key_of("refund", "read")
    for path, need in (
        ("/v1/refunds?expand[]=data.charge", "charge"),
        ("/v1/refunds?expand%5B0%5D=data.payment_intent", "payment_intent"),
        ("/v1/refunds?expand[]=data.charge.customer", "customer"),
        ("/v1/refunds?expand=charge", "charge"),
    ):
        status, body = await front.json("GET", path, key=read)
        assert status == 403 and f"'rak_{need}_read'" in body["error"]["message"]
    answer = await front.call("GET", "/v1/refunds", key=read)
    assert refusal(answer.status, answer.body) == ""


def test_everything_that_can_be_expanded_is_somebody_s() -> None:
    named = [
        (name, kind)
        for each in declared("REFERENCES", "render")
        for names in each.values()
        for name, kind in names.items()
        if kind in PERMISSIONS.objects
    ]
    assert len(named) >= 15
    for name, kind in named:
        if name != "on_behalf_of":  # null, always
            assert PERMISSIONS.expanded(name.rpartition(".")[2]) == kind, name
    assert PERMISSIONS.expanded("latest_charge") == "charge"
    assert PERMISSIONS.expanded("default_payment_method") == "payment_method"
    assert PERMISSIONS.expanded("nobody_knows") is None
    who = Principal(Merchant("acct_1", "A"), "secret", False, grants={"refund": "write"})
    with pytest.raises(ApiError):
        PERMISSIONS.require_expand(who, ["nobody_knows"])
    PERMISSIONS.require_expand(who, ["total_count", "data.refund"])


def problems(text: str) -> str:
    with pytest.raises(WorldError) as caught:
        merchants.parse(text.encode())
    return "\n".join(caught.value.problems)


def one_key(more: str, kind: str = "restricted") -> str:
    return (
        f'[[merchants]]\nid = "acct_1"\nname = "A"\n[[merchants.keys]]\nsha256 = "{"0" * 64}"\n'
        f'kind = "{kind}"\nmode = "test"\n{more}'
    )


def test_permissions_in_the_world_are_checked() -> None:
    found: Merchants = merchants.parse(one_key('permissions = { refund = "read" }').encode())
    (principal,) = found.by_hash.values()
    assert (principal.kind, principal.grants) == ("secret", {"refund": "read"})
    (bare,) = merchants.parse(one_key("").encode()).by_hash.values()
    assert bare.grants == {}
    assert "must be one of none, read, write" in problems(one_key('permissions = {refund="all"}'))
    assert "as the API calls it" in problems(one_key('permissions = { "Refund s" = "read" }'))
    assert "restricted" in problems(one_key('permissions = { refund = "read" }', "secret"))
