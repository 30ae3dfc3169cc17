"""The structs of all requests that clients send, found as the node finds its resources."""

import msgspec

from bailiwick.resources import modules
from bailiwick.serving import params


def every() -> list[type[msgspec.Struct]]:
    """Those whose description begins with a method, by their names."""
    found = {
        each
        for module in (params, *modules("params"))
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, msgspec.Struct)
        and (each.__doc__ or "").startswith(("POST", "GET", "Query of a GET"))
    }
    return sorted(found, key=lambda each: each.__name__)
