"""Events: what has happened, as it was told."""

from bailiwick.interlink.resource import ById, Merged, Path, Resource

RESOURCE = Resource(
    object="event",
    prefix="evt",
    path="/v1/events",
    table="event",
    paths=(
        Path("/v1/events", {"GET": Merged()}),
        Path("/v1/events/{identifier}", {"GET": ById("evt", "event")}),
    ),
)
