"""An empty or null value where absence means "all", or at once: refused, and no money moves."""

from typing import Any

import pytest
from api_kit import Api, at_both

EMPTY = pytest.mark.parametrize("empty", ["", None], ids=["empty", "null"])
AT = pytest.mark.parametrize("at", ["access", "node"])


def send(api: Api, path: str, params: dict[str, Any], name: str, empty: Any) -> None:
    """The request with this value; it must be refused by name."""
    if empty is None:
        status, said = api.post_json(path, {**params, name: None})
    else:
        status, said = api.post(path, **params, **{name: empty})
    assert status == 400, said
    assert said["error"]["code"] == "parameter_invalid_empty", said
    assert said["error"]["param"] == name


@EMPTY
@AT
def test_a_refund_of_nothing_is_not_of_everything(
    demo: dict[str, Any], at: str, empty: Any
) -> None:
    api = at_both(demo)[at]
    paid = api.pay()
    for name in ("amount", "charge", "reason"):
        send(api, "/v1/refunds", {"payment_intent": paid["id"]}, name, empty)
    send(api, "/v1/refunds", {"charge": paid["latest_charge"]}, "payment_intent", empty)
    _, page = api.get("/v1/refunds", payment_intent=paid["id"])
    assert page["data"] == []
    status, refund = api.post("/v1/refunds", payment_intent=paid["id"], amount="100")
    assert (status, refund["amount"]) == (200, 100)


@EMPTY
@AT
def test_a_capture_of_nothing_is_not_of_everything(
    demo: dict[str, Any], at: str, empty: Any
) -> None:
    api = at_both(demo)[at]
    held = api.pay(capture_method="manual")
    path = f"/v1/payment_intents/{held['id']}"
    for name in ("amount_to_capture", "final_capture"):
        send(api, f"{path}/capture", {}, name, empty)
    _, now = api.get(path)
    assert (now["status"], now["amount_received"]) == ("requires_capture", 0)
    status, done = api.post(f"{path}/capture", amount_to_capture="100")
    assert (status, done["amount_received"]) == (200, 100)


@EMPTY
@AT
def test_no_default_is_taken_for_an_empty_value(demo: dict[str, Any], at: str, empty: Any) -> None:
    api = at_both(demo)[at]
    good = {"amount": 700, "currency": "eur", "payment_method": "pm_card_visa"}
    before = api.get("/v1/payment_intents", limit="1")[1]["data"]
    for name in ("capture_method", "confirm", "location", "amount", "currency", "payment_method"):
        params: dict[str, Any] = {
            **good,
            "location": {"country": "DE"},
            "confirm": True,
            name: empty,
        }
        status, said = api.post_json("/v1/payment_intents", params)
        assert (status, said["error"]["code"]) == (400, "parameter_invalid_empty"), (name, said)
        assert said["error"]["param"] == name
    assert api.get("/v1/payment_intents", limit="1")[1]["data"] == before


@EMPTY
@AT
def test_an_update_to_nothing_changes_no_amount(demo: dict[str, Any], at: str, empty: Any) -> None:
    api = at_both(demo)[at]
    made = api.pay(confirm="false")
    path = f"/v1/payment_intents/{made['id']}"
    for name in ("amount", "currency"):
        send(api, path, {}, name, empty)
    for name in ("capture_method", "return_url"):
        send(api, f"{path}/confirm", {}, name, empty)
    now = api.get(path)[1]
    assert (now["amount"], now["status"]) == (5000, "requires_confirmation")
    status, changed = api.post_json(path, {"description": "x", "receipt_email": "a@example.com"})
    assert status == 200 and changed["description"] == "x"
    unset = {"description": empty, "receipt_email": empty}
    status, changed = api.post_json(path, unset)
    assert (status, changed["description"], changed["receipt_email"]) == (200, None, None)


@AT
def test_metadata_is_bounded_over_all_changes(demo: dict[str, Any], at: str) -> None:
    api = at_both(demo)[at]
    made = api.pay(confirm="false", **{"metadata[a]": "", "metadata[b]": "1"})
    assert made["metadata"] == {"b": "1"}
    path = f"/v1/payment_intents/{made['id']}"
    full = {f"metadata[k{n}]": "x" for n in range(49)}
    assert api.ask("POST", path, full)[0] == 200
    status, said = api.ask("POST", path, {"metadata[more]": "x"})
    assert (status, said["error"]["param"]) == (400, "metadata"), said
    # One goes, one comes.
    status, said = api.ask("POST", path, {"metadata[more]": "x", "metadata[k0]": ""})
    assert status == 200 and len(said["metadata"]) == 50
    paid = api.pay()
    _, refund = api.post(
        "/v1/refunds", payment_intent=paid["id"], amount="1", **{"metadata[a]": ""}
    )
    assert refund["metadata"] == {}
    path = f"/v1/refunds/{refund['id']}"
    assert api.ask("POST", path, {**full, "metadata[k49]": "x"})[0] == 200
    assert api.ask("POST", path, {"metadata[more]": "x"})[0] == 400


@AT
def test_a_refund_names_one_payment(demo: dict[str, Any], at: str) -> None:
    api = at_both(demo)[at]
    one, other = api.pay(), api.pay()
    wish = {"payment_intent": one["id"], "charge": other["latest_charge"], "amount": "100"}
    status, said = api.post("/v1/refunds", **wish)
    assert (status, said["error"]["param"]) == (400, "charge"), said
    assert api.get("/v1/refunds", payment_intent=one["id"])[1]["data"] == []
    wish["charge"] = one["latest_charge"]
    status, refund = api.post("/v1/refunds", **wish)
    assert (status, refund["payment_intent"]) == (200, one["id"])
    for wrong in ("ch_x", one["id"], refund["id"], one["latest_charge"].replace("ch_", "at_")):
        status, said = api.post("/v1/refunds", charge=wrong)
        assert (status, said["error"]["param"]) == (404, "charge"), said


CARD = "4242 4242 4242 4242"


@AT
@pytest.mark.parametrize("name", [
    "location[country]", "location[subdivision]", "location[coordinates]", "location[ip_address]",
    "currency", "capture_method", "payment_method", CARD, f"metadata[{CARD}]", f"x[{CARD}]",
    f"{CARD}[]a", "return_url", "expand[0]", "amount", "confirm",
])  # fmt: skip
def test_a_card_number_is_repeated_by_no_error(demo: dict[str, Any], at: str, name: str) -> None:
    api = at_both(demo)[at]
    good = {"amount": "500", "currency": "eur", "location[country]": "DE"}
    for card in (CARD, CARD.replace(" ", "")):
        params = {**good, name.replace(CARD, card): card}
        status, said = api.ask("POST", "/v1/payment_intents", params)
        assert status == 400 and "4242" not in str(said), said
        status, said = api.get(f"/v1/payment_intents/{card.replace(' ', '-')}", expand=card)
        assert status in (400, 404) and "4242" not in str(said), said
