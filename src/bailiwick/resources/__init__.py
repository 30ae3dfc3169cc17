"""What clients ask for: a folder for each resource, found by itself.

A resource's folder has what it needs of these, and nothing outside it names it:

* ``__init__.py``: where it is served (``RESOURCE``), for access too, which imports nothing else of
  it;
* ``params.py``: what its requests may carry: a struct for each route, whose description begins with
  the route (``POST /v1/refunds/{id}``);
* ``render.py``: how it is shown (``SHOW``: to who acts on records of all kinds; ``REFERENCES``:
  what in it can be expanded); ``shape.py``: what is shown, as a type (``SHAPE``; ``PUBLIC``: to a
  publishable key; ``GONE``: once it was deleted; ``ANSWERS``: of routes that show neither it nor a
  page of it; ``MEDIA``: of routes whose answers are not JSON). The description of the API is made
  from these and ``params.py`` (``openapi/``);
* ``routes.py``: who answers there (``routes``), and to which payment, or record, its objects belong
  (``PAYMENT_OF``): that says where they must stay, or how what says it is found (``STAYING``); how
  they are read to be expanded (``LOADS``); what is done without anybody asking (``TASKS``);
* ``kind.py``: it is a kind of orders (``KIND``), with its transition table in ``states.py``;
* ``handlers.py``: what outcomes of operations do to orders (``HANDLERS``), what it writes beside
  orders (``PARTS``), who books what a provider tells of disputes (``DISPUTING``); ``OBJECTS``,
  here or there: its objects as they are now;
* ``own_events.txt``: types of events that the format has not;
* ``told.py``: what is told with the moves of orders beside their own events (``ALSO``);
* ``erased.py``: what of its objects stays once their payer is erased (``STAYS``); how its orders
  are erased (``ERASING``), and what stands beside orders (``BESIDE``);
* ``search.py``: what of it can be searched (``SEARCHED``);
* ``sql/``: its statements.
"""

import importlib
import importlib.util
import pkgutil
from functools import cache
from types import ModuleType
from typing import Any

from bailiwick.interlink.resource import Resource


def every() -> list[Resource]:
    """All resources, in the order of their folders' names."""
    return [of for _, of in packages()]


def packages() -> list[tuple[str, Resource]]:
    """The same, each with the name of its package."""
    found = sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name)
    names = [f"{__name__}.{each.name}" for each in found]
    return [(name, importlib.import_module(name).RESOURCE) for name in names]


@cache
def modules(name: str) -> tuple[ModuleType, ...]:
    """The modules of this name in all resources' folders, in the order of the folders' names."""
    found = []
    for each in sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name):
        package = f"{__name__}.{each.name}"
        if importlib.util.find_spec(f"{package}.{name}") is not None:
            found.append(importlib.import_module(f"{package}.{name}"))
    return tuple(found)


def declared(name: str, *places: str) -> list[Any]:
    """What all resources declare under a name in modules of these names."""
    every = [module for place in places for module in modules(place)]
    return [getattr(module, name) for module in every if hasattr(module, name)]
