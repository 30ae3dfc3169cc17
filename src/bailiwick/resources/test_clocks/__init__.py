"""Test clocks: time that a test moves, for the customers on it and what is theirs."""

from bailiwick.interlink.resource import ById, Merged, Path, Placed, Resource

OBJECT = "test_helpers.test_clock"
PATH = "/v1/test_helpers/test_clocks"
_ITS = ById("clock", OBJECT)

RESOURCE = Resource(
    object=OBJECT,
    prefix="clock",
    path=PATH,
    table="record",
    paths=(
        Path(PATH, {"POST": Placed(), "GET": Merged()}),
        Path(f"{PATH}/{{identifier}}", {"GET": _ITS, "DELETE": _ITS}),
        Path(f"{PATH}/{{identifier}}/advance", {"POST": _ITS}),
    ),
)
