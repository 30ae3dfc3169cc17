"""What judges by a provider's own description of its interface share: every request of a channel's
cases, and every answer, held against the schemas that were published."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
from msgspec.structs import replace

from bailiwick.channels import registry
from bailiwick.channels.contract import Channel, Reply, Request
from bailiwick_lab.channel_suite.cases import Answer
from bailiwick_lab.channel_suite.subject import NOW_MS, Subject, subject

__all__ = ["NOW_MS", "Published", "of", "reply"]


class Published:
    """``published.json`` beside a judge: per operation (``POST /payments/{id}``) the names in its
    ``query``, the schema of its ``body``, and those of its ``answers`` by their status; both are
    reduced to what the cases touch, with the names of all other fields."""

    def __init__(self, judge: str) -> None:
        text = Path(judge).with_name("published.json").read_text(encoding="utf-8")
        self.data: dict[str, Any] = json.loads(text)
        self.operations: dict[str, dict[str, Any]] = self.data["operations"]

    def operation(self, request: Request, base_url: str) -> str:
        """The one that a request is of; it has no more in its query than that knows."""
        address = urlsplit(request.url)
        path = address.path.removeprefix(urlsplit(base_url).path.rstrip("/"))
        fits = [
            name
            for name in self.operations
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", name), f"{request.method} {path}")
        ]
        # One with fewer places left open is meant.
        fits.sort(key=lambda name: name.count("{"))
        assert fits, f"{request.method} {path} is no operation of the provider"
        asked = {name for name, _ in parse_qsl(address.query)}
        assert asked <= {*self.operations[fits[0]].get("query", ())}, request
        return fits[0]

    def check(self, request: Request, base_url: str) -> str:
        """Hold a request against its operation, which is given back."""
        name = self.operation(request, base_url)
        schema = self.operations[name].get("body")
        assert (schema is None) == (request.body == b""), f"{name}: a body, or none"
        if schema is not None:
            validate(json.loads(request.body), schema)
        return name

    def check_answer(self, operation: str, answer: Reply) -> bool:
        """Hold an answer against its operation; whether one of that status is described."""
        schema = self.operations[operation].get("answers", {}).get(str(answer.status))
        if schema is None:
            return False
        validate(json.loads(answer.body), schema)
        return True

    def check_every_request(self, it: Subject) -> set[str]:
        """All requests of the cases; the operations that they are of."""
        return {self.check(request, it.cases.account.base_url) for _, request in requests_of(it)}

    def check_every_answer(self, it: Subject, strange: set[str]) -> int:
        """All answers of the cases but those that no provider should ever give; how many there
        were to hold against something. Each strange one is against its description."""
        count, fine = 0, set()
        for case, request in asked(it):
            name = self.operation(request, it.cases.account.base_url)
            try:
                count += self.check_answer(name, case.reply)
            except (jsonschema.ValidationError, ValueError):
                assert case.name in strange, f"{case.name} is not as {name} is described"
            else:
                fine.add(case.name)
        assert strange & fine == set(), "as described, but called strange"
        return count


def validate(value: Any, schema: Any) -> None:
    """Raises jsonschema.ValidationError."""
    jsonschema.Draft202012Validator(schema).validate(value)


def of(channel: Channel) -> Subject:
    """A channel of this distribution with its cases."""
    return subject(channel, registry.folder(channel.profile.name))


def asked(it: Subject) -> Iterator[tuple[Answer, Request]]:
    """Each answer of the cases, and what it answers."""
    for case in it.cases.answers:
        order = case.instruction
        if case.way is None:
            yield case, it.asked(order)
            continue
        known = order.provider_ref or case.says.provider_ref or it.known_id(order.operation)
        order = replace(order, provider_ref=known)
        request = it.channel.query(order, it.cases.account, case.way)
        assert request is not None
        yield case, request


def requests_of(it: Subject) -> Iterator[tuple[str, Request]]:
    """Every request that the cases give rise to."""
    yield "check", it.channel.check(it.cases.account, NOW_MS)
    for name, order in it.cases.instructions.items():
        yield name, it.asked(order)
    for case, request in asked(it):
        yield case.name, request


def reply(body: Any, status: int = 200) -> Reply:
    """An answer with this as JSON."""
    return Reply(status, {}, json.dumps(body).encode())
