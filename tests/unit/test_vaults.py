"""Vaults: in the settings, in what a request may carry, and in what is kept and shown."""

from pathlib import Path

import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.node.config import load
from bailiwick.resources.payments import charging, render
from bailiwick.resources.payments.params import (
    ConfirmPayment,
    CreatePayment,
    UpdatePayment,
    vault_of,
)
from bailiwick.resources.payments.rows import Progress
from bailiwick.runtime.settings import SettingsError
from bailiwick.wire.forms import parse_form, struct_from
from tests.unit.payment_kit import payment

NODE = """
number = 1
name = "europe"
listen = "127.0.0.1:1"
dsn = "postgresql://localhost/x"
world = "world"
internal_secret_file = "secret"
"""


def gateway(name: str, **more: str) -> str:
    given = {"name": name, "channel": "sandbox", "kind": "foreign_bank",
             "base_url": "https://bank.test"} | more  # fmt: skip
    lines = "".join(f'{field} = "{value}"\n' for field, value in given.items())
    secrets = 'api_key = "plain:x"\ncallback_secret = "plain:y"\n'
    return f"[[gateways]]\n{lines}[gateways.secrets]\n{secrets}"


def settings(folder: Path, *gateways: str) -> list[str]:
    (folder / "secret").write_text("s" * 32)
    file = folder / "node.toml"
    file.write_text(NODE + "".join(gateways))
    return [each.vault_name for each in load(file).settings.gateways]


def test_two_entries_for_one_account_share_a_vault(tmp_path: Path) -> None:
    found = settings(tmp_path, gateway("a"), gateway("b", vault="a"), gateway("c", vault="bank"))
    assert found == ["a", "a", "bank"]


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        ({"channel": "stripe", "vault": "a"}, "channel sandbox in test mode"),
        ({"vault": "An account"}, "vault"),
    ],
)
def test_what_cannot_be_one_account(tmp_path: Path, other: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault) as caught:
        settings(tmp_path, gateway("a"), gateway("b", **other))
    assert any("gateways[1].vault" in line for line in caught.value.problems)


def test_the_vault_is_all_that_is_taken_of_the_options() -> None:
    form = parse_form(b"amount=1&currency=eur&payment_method_options[card][vault]=rhein")
    assert vault_of(struct_from(form, CreatePayment)) == "rhein"
    for kind in (ConfirmPayment, UpdatePayment):
        assert vault_of(kind()) is None
    for stray, param in (
        (b"payment_method_options[card][request_three_d_secure]=any", "request_three_d_secure"),
        (b"payment_method_options[upi][vault]=x", "upi"),
        (b"payment_method_options[card][vault]=A_b", "vault"),
    ):
        with pytest.raises(ApiError) as refused:
            struct_from(parse_form(stray), ConfirmPayment)
        assert refused.value.status == 400
        assert param in str(refused.value.param)


def test_what_is_kept_is_bounded() -> None:
    vaults: dict[str, str] = {}
    for n in range(100):
        vaults = charging.with_owner(vaults, f"pm_{n}", f"v{n % 2}")
    assert list(vaults) == [f"pm_{n}" for n in range(100 - charging.VAULTS_MAX, 100)]
    assert charging.with_owner(vaults, "pm_99", "v1") is vaults
    assert charging.with_owner(vaults, None, "v1") is vaults
    assert charging.with_owner(vaults, "pm_99", None) is vaults
    assert list(charging.with_owner(vaults, "pm_90", "v1"))[-1] == "pm_90", "the latest last"


def test_stored_payments_of_before_are_read() -> None:
    assert msgspec.json.decode(b'{"payment_method":"pm_1"}', type=Progress).vaults == {}
    assert b"vaults" not in msgspec.json.encode(Progress("pm_1"))


def test_a_payer_s_browser_is_not_told_the_vault() -> None:
    made = payment()
    owned = Progress("pm_1", vaults={"pm_1": "rhein", "pm_2": "isar"})
    made = msgspec.structs.replace(made, progress=owned)
    shown = render.payment_intent(made)
    assert shown["payment_method_options"]["card"]["vault"] == "rhein"
    assert "payment_method_options" not in render.payment_intent(made, public=True)
    assert b"rhein" not in render.public(msgspec.json.encode(shown))
    assert b"rhein" not in render.public(
        msgspec.json.encode({"error": {"code": "x", "payment_intent": shown}})
    )
