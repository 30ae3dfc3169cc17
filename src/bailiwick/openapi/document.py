"""The description of the API as one document: OpenAPI 3.1. Pure.

https://spec.openapis.org/oas/v3.1.1.html
"""

from functools import cache
from typing import Any

import msgspec

from bailiwick import resources
from bailiwick.base.objects import API_VERSION
from bailiwick.interlink import event_stream
from bailiwick.interlink.resource import Everywhere, Merged, Path, Refused, Resource, Searched
from bailiwick.openapi import answers, requests
from bailiwick.openapi.answers import Schema, Shapes
from bailiwick.openapi.others import OTHERS, TYPES
from bailiwick.resources import declared
from bailiwick.serving.shapes import Deleted
from bailiwick.wire.uploads import multipart

PATH = "/openapi.json"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
_ABOUT = (
    "Bailiwick accepts the Stripe v1 API format; `location`, `node`, `assignment` and `routing` "
    "are its own. Bodies are forms with brackets or JSON, read alike; a parameter that stands not "
    "here is refused. An empty value unsets what can be unset, and is refused elsewhere."
)
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key, the same request, one effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


@cache
def written() -> bytes:
    """The document as JSON, made once."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1)


def document() -> Schema:
    """The document."""
    every = resources.packages()
    shapes = Shapes(every)
    made = _Document(shapes, [of for _, of in every])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bailiwick", "version": API_VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"basic": []}],
        "paths": made.paths(),
        "components": {
            "schemas": shapes.components((Deleted, *TYPES)) | made.bodies,
            "responses": answers.error_responses(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


class _Document:
    """What is collected: the bodies of requests, by name."""

    def __init__(self, shapes: Shapes, every: list[Resource]) -> None:
        self.bodies: Schema = {}
        self._shapes = shapes
        self._every = every
        self._prefixes = {of.prefix for of in every}
        self._notes = {
            name: f"Accepted without effect: {said}."
            for table in declared("WITHOUT_EFFECT", "params")
            for name, said in table.items()
        }

    def paths(self) -> Schema:
        found: Schema = {}
        for of in self._every:
            for path in of.paths:
                template = _shown(path.template)
                item = found.setdefault(template, self._placeholders(of, path))
                for method, where in path.methods.items():
                    item[method.lower()] = self._operation(of, path, method, where)
        for template, methods in OTHERS.items():
            item = found.setdefault(template, {})
            for method, operation in methods.items():
                item[method] = dict(operation)
                if method == "post":  # what explains a payment takes what makes one
                    item[method]["requestBody"] = self._body("POST", template) or {}
        return found

    def _placeholders(self, of: Resource, path: Path) -> Schema:
        names = [part[1:-1] for part in path.template.split("/") if part.startswith("{")]
        if not names:
            return {}
        first = next((w for w in path.methods.values() if hasattr(w, "prefix")), None)
        prefixes = [getattr(first, "prefix", of.prefix), "" if first is None else of.prefix]
        return {
            "parameters": [
                {
                    "name": "id" if name == "identifier" else name,
                    "in": "path",
                    "required": True,
                    "schema": {
                        "type": "string",
                        "pattern": f"^{prefix}_[A-Za-z0-9_]+$" if prefix else "^[A-Za-z0-9_]+$",
                        "maxLength": 255,
                    },
                }
                for name, prefix in zip(names, prefixes, strict=False)
            ]
        }

    def _operation(self, of: Resource, path: Path, method: str, where: object) -> Schema:
        refused = isinstance(where, Refused)
        made: Schema = {
            "operationId": _operation_id(path.template, method),
            "tags": [of.object],
            "responses": answers.errors(answers.statuses(of, method, where)),
        }
        if refused:
            assert isinstance(where, Refused)
            made |= {"description": where.remedy, "deprecated": True}
            return made
        if method in path.public:
            proof = " with the client_secret" if "{" in path.template else ""
            made["description"] = f"A publishable key may do it{proof}."
        kind = requests.struct_of(method, path.template, searched=isinstance(where, Searched))
        parameters = [] if method != "GET" or kind is None else requests.query(kind, self._notes)
        if method != "GET":
            action = isinstance(where, Everywhere) and bool(where.action)
            parameters = [{**_KEY, "required": action}]
        made["parameters"] = parameters
        body = self._body(method, path.template) if method == "POST" else None
        if body is not None:
            made["requestBody"] = body
        media = self._shapes.media(of, path, method)
        content: Schema = {each: {} for each in media}
        if not media:
            content = {JSON: {"schema": self._answer(of, path, method, where, kind)}}
        if isinstance(where, Merged) and where.streamed:
            content[event_stream.MEDIA] = {"schema": {"type": "string"}}
        made["responses"]["200"] = {"description": "As asked.", "content": content}
        return made

    def _answer(
        self,
        of: Resource,
        path: Path,
        method: str,
        where: object,
        kind: type[msgspec.Struct] | None,
    ) -> Schema:
        own = self._shapes.own(of, path, method)
        if own is not None:
            return own
        if isinstance(where, Searched):
            return self._shapes.many(of, "search_result")
        if kind is not None and "starting_after" in kind.__struct_fields__:
            return self._shapes.many(of, "list")
        return self._shapes.one(of, path, method)

    def _body(self, method: str, template: str) -> Schema | None:
        """A reference to what a request's body may hold; None where nobody says so."""
        kind = requests.struct_of(method, template, searched=False)
        if kind is None:
            return None
        folder = kind.__module__.split(".")[-2]
        name = f"{folder}.{kind.__name__}"
        if name not in self.bodies:
            self.bodies[name] = requests.body(kind, self._notes)
        schema = {"schema": {"$ref": answers.REF + name}}
        nested = {
            field: {"style": "deepObject", "explode": True}
            for field, of in self.bodies[name]["properties"].items()
            if _nested(of)
        }
        form: Schema = {**schema, "encoding": nested} if nested else schema
        needed = bool(self.bodies[name].get("required"))
        if hasattr(kind, "FILES"):
            return {"required": needed, "content": {multipart.MEDIA: form}}
        return {"required": needed, "content": {FORM: form, JSON: schema}}


def _nested(schema: Schema) -> bool:
    inner = schema["anyOf"][0] if "anyOf" in schema else schema
    return inner.get("type") in ("object", "array")


def _shown(template: str) -> str:
    return template.replace("{identifier}", "{id}")


def _operation_id(template: str, method: str) -> str:
    parts = [part.strip("{}") for part in template.split("/")[2:]]
    return "_".join([method.lower(), *("id" if p == "identifier" else p for p in parts)])


def undeclared() -> dict[str, Any]:
    """What is described openly only: objects without a shape, POSTs without a struct."""
    every = resources.packages()
    posts = [
        path.template
        for _, of in every
        for path in of.paths
        for method, where in path.methods.items()
        if method == "POST" and not isinstance(where, Refused)
        if requests.struct_of(method, path.template, searched=False) is None
    ]
    return {"objects": Shapes(every).undeclared, "bodies": posts}
