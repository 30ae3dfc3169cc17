"""What stripe-python types for the routes that are served here."""

from collections.abc import Iterator

import msgspec
from stripe import params as typed
from stripe._request_options import RequestOptions

from bailiwick import resources
from bailiwick.interlink.resource import Path, Refused, Resource
from bailiwick.openapi import requests

OPTIONS = set(RequestOptions.__annotations__)
LISTED = {"POST": "Create", "GET": "List"}
ONE = {"POST": "Update", "GET": "Retrieve", "DELETE": "Delete"}


def camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def typed_for(of: Resource, path: Path, method: str) -> set[str]:
    """The parameters that the SDK types for a route; none for a route that is ours alone."""
    rest = path.template.removeprefix(of.path).strip("/")
    verb = {"": LISTED, "{identifier}": ONE}.get(rest, {}).get(method)
    name = camel(of.object) + (verb or camel(rest.rpartition("/")[2].strip("{}"))) + "Params"
    found = getattr(typed, name, None)
    return set() if found is None else set(found.__annotations__) - OPTIONS


def routes() -> Iterator[tuple[str, str, type[msgspec.Struct], str]]:
    """Method, template, the struct that is read, and a parameter that is typed."""
    for of in resources.every():
        for path in of.paths:
            for method, where in path.methods.items():
                searched = path.template.endswith("/search")
                kind = requests.struct_of(method, path.template, searched=searched)
                if not isinstance(where, Refused) and kind is not None:
                    for name in sorted(typed_for(of, path, method)):
                        yield method, path.template, kind, name


ROUTES = list(routes())
