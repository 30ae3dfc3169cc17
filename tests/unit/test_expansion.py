"""What may be expanded, how deep, and what an id becomes of which nothing can be shown."""

from collections.abc import Set
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import Owner
from bailiwick.node import assembly
from bailiwick.serving.expansion import Expansion
from bailiwick.store.database import Store

WHO = cast(Owner, SimpleNamespace(merchant=SimpleNamespace(id="acct_1"), livemode=False))
STORE = cast(Store, None)
REFERENCES = {
    "order": {"first": "item", "deep.er.one": "item", "none": "nothing"},
    "item": {"order": "order", "order_of": "item"},
}


class Shelf:
    """Items and orders, and what was read of them."""

    def __init__(self) -> None:
        self.read: list[tuple[str, list[str]]] = []
        self.expansion = Expansion(REFERENCES, {"item": self.items, "order": self.orders})

    async def items(
        self, store: Store, who: Owner, region: int, ids: Set[str]
    ) -> dict[str, Object]:
        self.read.append(("item", sorted(ids)))
        return {each: item(each) for each in ids if each != "it_gone"}

    async def orders(
        self, store: Store, who: Owner, region: int, ids: Set[str]
    ) -> dict[str, Object]:
        self.read.append(("order", sorted(ids)))
        return {each: order(each) for each in ids}

    async def fill(self, expand: list[str], *objects: Object, listed: bool = False) -> None:
        wished = self.expansion.wished(expand, "order", listed=listed)
        await wished.fill(STORE, WHO, 0, objects)


def item(name: str) -> Object:
    return {"id": name, "object": "item", "order": "or_1", "order_of": None}


def order(name: str, first: Any = "it_1") -> Object:
    deep = {"er": {"one": "it_2", "kept": 1}}
    return {"id": name, "object": "order", "first": first, "deep": deep, "none": None}


async def test_ids_become_objects() -> None:
    shelf, it = Shelf(), order("or_1")
    await shelf.fill(["first", "deep.er.one", "none"], it)
    assert it["first"] == item("it_1") and it["none"] is None
    assert it["deep"] == {"er": {"one": item("it_2"), "kept": 1}}


async def test_four_levels() -> None:
    shelf, it = Shelf(), order("or_1")
    await shelf.fill(["first.order.first.order"], it)
    third = it["first"]["order"]["first"]
    assert third["order"] == order("or_1") and third["order_of"] is None
    assert it["first"]["order"]["deep"]["er"]["one"] == "it_2", "what was not asked for stays"


async def test_a_page_is_read_at_once() -> None:
    shelf = Shelf()
    page = [order("or_1"), order("or_2", "it_3"), order("or_3", "it_3"), order("or_4", None)]
    await shelf.fill(["data.first.order", "first"], *page, listed=True)
    assert shelf.read == [("item", ["it_1", "it_3"]), ("order", ["or_1"])]
    assert [each["first"] and each["first"]["order"]["id"] for each in page] == [
        "or_1", "or_1", "or_1", None,
    ]  # fmt: skip
    assert page[1]["first"] is not page[2]["first"]


async def test_what_is_there_already_is_gone_into() -> None:
    shelf, it = Shelf(), order("or_1", item("it_9"))
    await shelf.fill(["first.order"], it)
    assert it["first"] == {**item("it_9"), "order": order("or_1")}
    assert shelf.read == [("order", ["or_1"])]


async def test_an_id_of_which_nothing_is_shown_stays() -> None:
    shelf, it = Shelf(), order("or_1", "it_gone")
    await shelf.fill(["first.order"], it)
    assert it["first"] == "it_gone"


async def test_an_object_without_the_field_is_passed_over() -> None:
    shelf, it = Shelf(), {"id": "or_1", "object": "order", "deleted": True}
    await shelf.fill(["first.order", "deep.er.one"], it)
    assert it == {"id": "or_1", "object": "order", "deleted": True}


@pytest.mark.parametrize(
    ("wish", "listed", "told"),
    [
        ("nothing", False, "You can expand: deep.er.one, first, none."),
        ("first.nothing", False, "You can expand: first.order, first.order_of."),
        ("deep", False, "cannot be expanded (deep)"),
        ("deep.er", False, "cannot be expanded (deep.er)"),
        ("firs", False, "cannot be expanded (firs)"),
        ("first.", False, "cannot be expanded (first.)"),
        (".first", False, "cannot be expanded (.first)"),
        ("data.first", False, "cannot be expanded (data.first)"),
        ("data", True, "cannot be expanded (data)"),
        ("none.first", False, "You can expand: nothing here."),
        ("data.first.nothing", True, "You can expand: data.first.order, data.first.order_of."),
        ("first.order.first.order.first", False, "more than 4 levels"),
        ("data.first.order.first.order", True, "more than 4 levels"),
        ("first" + ".order.first" * 40, False, "more than 4 levels"),
        ("", False, "cannot be expanded ()"),
    ],
)
def test_what_is_refused(wish: str, listed: bool, told: str) -> None:
    with pytest.raises(ApiError) as error:
        Shelf().expansion.wished([wish], "order", listed=listed)
    assert error.value.param == "expand" and told in error.value.message


def test_so_much_at_most() -> None:
    shelf = Shelf().expansion
    four, other = "first.order.first.order", "deep.er.one.order"
    shelf.wished([four, four, other, "first.order_of.order.first"], "order")
    twelve = [four, "first.order_of.order_of.order_of", "first.order_of.order.none", other,
              "first.order.none"]  # fmt: skip
    shelf.wished(twelve, "order")
    with pytest.raises(ApiError, match="At most 12 objects"):
        shelf.wished([*twelve, "none"], "order")


def test_what_is_declared_leads_somewhere() -> None:
    """Each reference of our own is of a kind that can be read, or is always null."""
    made = assembly.expansion()
    always_null = {
        "account", "application", "application_fee", "payment_record",
        "review", "source", "test_clock", "transfer", "transfer_reversal",
    }  # fmt: skip
    kinds = {kind for names in made._references.values() for kind in names.values()}
    assert kinds - set(made._loads) <= always_null
    assert set(made._loads) <= set(made._references)
