"""Versions and accounts: what a request's head says is done, or refused by name."""

import json
from pathlib import Path

import pytest
from access_kit import SECRET, access, write_world

from bailiwick.base.versions import VERSIONS
from bailiwick.topology.merchants import key_hash

OURS = VERSIONS[0]
PATHS = ("/v1/payment_intents", "/v1/account", "/v1/events", "/v1/topology")


@pytest.mark.parametrize(
    "version", ["2020-08-27", "2026-10-28", "", "x" * 300, "2026-10-28.dahlia", "2025-02-24.acacia"]
)
@pytest.mark.parametrize("path", PATHS)
async def test_a_version_that_is_not_rendered_is_refused_by_name(
    tmp_path: Path, path: str, version: str
) -> None:
    async with access(tmp_path) as it:
        status, body = await it.json("GET", path, headers={"stripe-version": version})
        error = body["error"]
        assert (status, error["code"]) == (400, "api_version_unsupported")
        assert error["param"] == "Stripe-Version"
        for told in (version[:40], VERSIONS[0], VERSIONS[-1]):
            assert told in error["message"]
        assert it.nodes[0].calls == it.nodes[1].calls == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_version_that_is_rendered_is_said_again(tmp_path: Path, version: str) -> None:
    async with access(tmp_path) as it:
        answer = await it.call("GET", "/v1/account", headers={"stripe-version": version})
        assert (answer.status, answer.headers[b"stripe-version"]) == (200, version.encode())
        assert b"stripe-version" not in (await it.call("GET", "/v1/account")).headers


@pytest.mark.parametrize("name", ["Stripe-Account", "Stripe-Context"])
@pytest.mark.parametrize("value", ["acct_other", "acct_demo", ""])
@pytest.mark.parametrize("path", PATHS)
async def test_nobody_acts_for_another_account(
    tmp_path: Path, path: str, name: str, value: str
) -> None:
    async with access(tmp_path) as it:
        status, body = await it.json("GET", path, headers={name.lower(): value})
        assert (status, body["error"]["param"]) == (400, name)
        assert it.nodes[0].calls == it.nodes[1].calls == []


async def test_an_account_is_its_key_s_own(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        status, body = await it.json("GET", "/v1/account")
        assert (status, body["id"], body["object"]) == (200, "acct_demo", "account")
        assert body["settings"]["dashboard"]["display_name"] == "Demo"
        assert await it.json("GET", "/v1/accounts/acct_demo") == (200, body)
        status, other = await it.json("GET", "/v1/accounts/acct_other")
        assert (status, other["error"]["code"]) == (403, "account_invalid")
        for method, path in (
            ("POST", "/v1/account"), ("POST", "/v1/accounts"), ("POST", "/v1/accounts/acct_demo"),
        ):  # fmt: skip
            status, refused = await it.json(method, path, "email=a@b.example")
            assert status == 400 and "operator" in refused["error"]["message"]
        status, strange = await it.json("GET", "/v1/account?colour=red")
        assert (status, strange["error"]["param"]) == (400, "colour")
        assert it.nodes[0].calls == it.nodes[1].calls == []


async def test_the_version_of_a_key_is_one_that_is_rendered(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        nodes = {node.name: (node.number, node.url) for node in it.nodes}
        pinned = (
            f'[[merchants.keys]]\nsha256 = "{key_hash(SECRET)}"\nkind = "secret"\nmode = "test"\n'
        )
        write_world(tmp_path, nodes, epoch=2, keys=f'{pinned}api_version = "{OURS}"\n')
        await it.front.current.check(force=True)
        principal = it.front.world.merchants.by_key(SECRET)
        assert principal is not None and principal.api_version == OURS
        write_world(tmp_path, nodes, epoch=3, keys=f'{pinned}api_version = "2020-08-27"\n')
        await it.front.current.check(force=True)
        assert it.front.world.epoch == 2
        said = json.loads((await it.status("/readyz")).body)["world"]["problem"]
        assert "api_version" in said
