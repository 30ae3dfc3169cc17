"""The description of the API in tests: which operation a request is, and what fits a schema."""

import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from bailiwick.openapi.document import document

Schema = dict[str, Any]


@cache
def described() -> Schema:
    """The document."""
    return document()


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Templates as patterns, those with the fewest placeholders first."""
    found = sorted(described()["paths"], key=lambda template: template.count("{"))
    return [(re.compile(re.sub(r"{\w+}", "[^/?]+", it.replace(".", r"\."))), it) for it in found]


def template_of(path: str) -> str | None:
    """The template of a path, without its query."""
    plain = path.partition("?")[0]
    return next((it for pattern, it in _patterns() if pattern.fullmatch(plain)), None)


def operation(method: str, path: str) -> Schema | None:
    """What is said of a request."""
    template = template_of(path)
    found = None if template is None else described()["paths"][template].get(method.lower())
    return None if found is None else dict(found)


def schema_of(of: Schema, status: int) -> Schema | None:
    """The schema of an answer; None where the status is not documented."""
    response = of["responses"].get(str(status))
    if response is None:
        return None
    if "$ref" in response:
        response = described()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    found: Schema = response["content"]["application/json"]["schema"]
    return found


@cache
def _component(name: str) -> Draft202012Validator:
    return _validator({"$ref": f"#/components/schemas/{name}"})


def _validator(schema: Schema) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": described()["components"]})


def faults(value: Any, schema: Schema | str) -> list[str]:
    """What of a value does not fit a schema, or a component by its name."""
    validator = _component(schema) if isinstance(schema, str) else _validator(schema)
    return [_said(error) for error in validator.iter_errors(value)]


def _said(error: Any) -> str:
    deepest = error
    while deepest.context:
        deepest = max(deepest.context, key=lambda each: len(each.absolute_path))
    where = "/".join(str(part) for part in deepest.absolute_path)
    return f"{where or '(all)'}: {deepest.message[:200]}"


def wrong(method: str, path: str, status: int, body: Any) -> list[str]:
    """What is undocumented of an answer: its status, or its body."""
    of = operation(method, path)
    if of is None:
        known = {404, 405} if template_of(path) else {404}
        odd = [] if status in known else [f"{method} {path} is not described, and is {status}"]
        return odd + faults(body, "Error")
    schema = schema_of(of, status)
    return [f"{status} is not documented"] if schema is None else faults(body, schema)
