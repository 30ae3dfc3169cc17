"""Events: what has happened, as it was told."""

from bailiwick.interlink.resource import ById, Merged, Path, Resource

_ITS = ById("evt", "event")

RESOURCE = Resource(
    object="event",
    prefix="evt",
    path="/v1/events",
    table="event",
    paths=(
        Path("/v1/events", {"GET": Merged(streamed=True)}),
        Path("/v1/events/{identifier}", {"GET": _ITS}),
        Path("/v1/events/{identifier}/retry", {"POST": _ITS}),
    ),
)
