"""What is answered: the shapes of objects, lists and errors as JSON Schema, and which statuses a
route may answer with. Pure."""

import importlib
import importlib.util
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick.interlink.resource import ById, Everywhere, Path, Placed, Resource
from bailiwick.serving.shapes import Open, Shape

Schema = dict[str, Any]
REF = "#/components/schemas/"


class ErrorBody(Shape):
    """What went wrong, and what to do: https://docs.stripe.com/api/errors."""

    type: Literal["api_error", "card_error", "idempotency_error", "invalid_request_error"]
    message: str
    code: str | UnsetType = UNSET
    param: str | UnsetType = UNSET
    decline_code: str | UnsetType = UNSET
    advice_code: str | UnsetType = UNSET
    charge: str | UnsetType = UNSET
    doc_url: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    payment_intent: Open | UnsetType = UNSET
    payment_method: Open | UnsetType = UNSET
    setup_intent: Open | UnsetType = UNSET


class Error(Shape):
    """Every refusal."""

    error: ErrorBody


STATUSES: dict[str, str] = {
    "400": "The request is wrong; `param` names where.",
    "401": "No API key, or an unknown one.",
    "402": "Declined: the error has the object as it is now.",
    "403": "This key may not do that.",
    "404": "No such object, of this merchant and mode; or a word where an id belongs.",
    "408": "The request did not come to its end in time.",
    "409": "Something else is under way: retry with the same Idempotency-Key.",
    "413": "The body is too large.",
    "414": "The address is too long.",
    "415": "A content type that is not read there, or an encoded body.",
    "421": "Must be asked elsewhere, for residency: `url` says where.",
    "429": "Too many requests: slow down.",
    "431": "The head is too large.",
    "500": "A fault of ours: retry with the same Idempotency-Key.",
    "503": "Not now: retry with the same Idempotency-Key.",
}
_ANY = ("400", "401", "403", "404", "408", "414", "429", "431", "500", "503")
OPEN = ("400", "408", "414", "431", "500", "503")
"""Where no key is asked for."""
WITH_BODY = ("413", "415")


def statuses(of: Resource, method: str, where: object) -> list[str]:
    """The errors that a route may be answered with, by what is known of it."""
    found = [*_ANY]
    if method != "GET":
        found += ["409", *WITH_BODY]
    if not isinstance(where, Everywhere):
        found.append("421")
    if method == "POST" and _can_be_declined(of, where):
        found.append("402")
    return sorted(found)


def _can_be_declined(of: Resource, where: object) -> bool:
    """Whether a provider is asked on behalf of a payer: what is confirmed can be declined."""
    if not any(path.template.endswith("/confirm") for path in of.paths):
        return False
    return isinstance(where, ById | Placed)


def errors(which: list[str] | tuple[str, ...]) -> Schema:
    """The answers of these statuses, as references."""
    return {status: {"$ref": f"#/components/responses/{status}"} for status in which}


def error_responses() -> Schema:
    """What the references are to."""
    content = {"application/json": {"schema": {"$ref": f"{REF}Error"}}}
    return {status: {"description": said, "content": content} for status, said in STATUSES.items()}


class Shapes:
    """The shapes that resources declare in ``shape.py``, by resource.

    A resource without one is described by its kind alone, openly.
    """

    def __init__(self, every: list[tuple[str, Resource]]) -> None:
        self._modules = {
            of.object: importlib.import_module(name)
            for folder, of in every
            if importlib.util.find_spec(name := f"{folder}.shape") is not None
        }
        self._every = [of for _, of in every]

    @property
    def undeclared(self) -> list[str]:
        """Kinds of objects without a shape."""
        return [of.object for of in self._every if of.object not in self._modules]

    def _shape(self, of: Resource, name: str) -> Any:
        return getattr(self._modules.get(of.object), name, None)

    def components(self, others: tuple[type, ...]) -> Schema:
        """All schemas, by name."""
        names = ("SHAPE", "PUBLIC", "GONE")
        modules = self._modules.values()
        declared = [getattr(each, n) for each in modules for n in names if hasattr(each, n)]
        answers = [kind for each in modules for kind in getattr(each, "ANSWERS", {}).values()]
        types = list(dict.fromkeys([*declared, *answers, Error, *others]))
        _, found = msgspec.json.schema_components(types, ref_template=REF + "{name}")
        for of in self._every:
            if of.object in self.undeclared:
                found[of.object] = _undeclared(of)
        return found

    def one(self, of: Resource, path: Path, method: str) -> Schema:
        """One object, as a route shows it."""
        if method == "DELETE":
            return _ref("Deleted")
        shape = self._shape(of, "SHAPE")
        found = [_ref(of.object if shape is None else shape.__name__)]
        if method in path.public and self._shape(of, "PUBLIC") is not None:
            found.append(_ref(self._shape(of, "PUBLIC").__name__))
        if method == "GET" and self._shape(of, "GONE") is not None:
            found.append(_ref(self._shape(of, "GONE").__name__))
        return found[0] if len(found) == 1 else {"anyOf": found}

    def own(self, of: Resource, path: Path, method: str) -> Schema | None:
        """What a route shows that is neither one of its objects nor a page of them."""
        answers = self._shape(of, "ANSWERS") or {}
        kind = answers.get(f"{method} {path.template.replace('{identifier}', '{id}')}")
        return None if kind is None else _ref(kind.__name__)

    def media(self, of: Resource, path: Path, method: str) -> tuple[str, ...]:
        """The media types of what a route answers, where that is not JSON."""
        found: dict[str, tuple[str, ...]] = self._shape(of, "MEDIA") or {}
        return found.get(f"{method} {path.template.replace('{identifier}', '{id}')}", ())

    def many(self, of: Resource, kind: str) -> Schema:
        """A page of objects: of a ``list``, or a ``search_result``."""
        shape = self._shape(of, "SHAPE")
        names = {"type": "array", "items": {"type": "string"}}
        found: Schema = {
            "object": {"const": kind},
            "url": {"type": "string"},
            "has_more": {"type": "boolean"},
            "data": {
                "type": "array",
                "items": _ref(of.object if shape is None else shape.__name__),
                "maxItems": 100,
            },
        }
        required = list(found)
        if kind == "search_result":
            found["next_page"] = {"type": ["string", "null"]}
            found["total_count"] = {"type": "integer", "minimum": 0}
            required.append("next_page")
        found |= {"unavailable_nodes": names, "nodes_of_other_regions": names}
        return {
            "type": "object",
            "properties": found,
            "required": required,
            "additionalProperties": False,
        }


def _ref(name: str) -> Schema:
    return {"$ref": REF + name}


def _undeclared(of: Resource) -> Schema:
    return {
        "type": "object",
        "properties": {"object": {"const": of.object}},
        "required": ["object"],
    }
