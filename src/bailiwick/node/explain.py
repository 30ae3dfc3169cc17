"""Where a payment would go and why, by the functions that payments use. Nothing is written."""

from typing import Any

import falcon.asgi

from bailiwick.node.service import Node
from bailiwick.resources.payments import placing
from bailiwick.resources.payments.charging import wanted
from bailiwick.resources.payments.create import PaymentCreation
from bailiwick.resources.payments.params import CreatePayment, refuse_unsupported
from bailiwick.routing import match as routing
from bailiwick.serving import route
from bailiwick.topology.routes.words import sentence
from bailiwick.wire.answers import json_answer


class Explain:
    """/v1/explain"""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def on_post(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Explain; nothing is written."""
        node = self._node
        who = route.principal(request, node)
        params, wish = await route.checked(request, CreatePayment)
        refuse_unsupported(wish)
        asked = route.asked(request, who, "create", "", params, [])
        location = placing.located(node, who, wish.location)
        assignment = placing.explainable(node, request, asked, wish, location)
        creation = PaymentCreation(node.machine, configurations=node.configurations)
        payer = await creation.payer(asked, wish)
        payment = creation.draft(asked, wish, location, assignment, payer.saved)
        asked_for = wanted(payment, who.merchant.strategy, token=payer.token)
        found = node.gateways.match(asked_for, counted=False)
        document = {
            "object": "explanation",
            "location": payment.details.location,
            "assignment": payment.details.assignment,
            "node": node.settings.name,
            "node_usage": node.load.usage(node.world.epoch),
            "routing": _told(found),
        }
        json_answer(response, document)


def _told(found: routing.Routing) -> dict[str, Any]:
    """A decision with what its rule says."""
    told = routing.shown(found)
    return told if found.rule is None else {**told, "rule_says": sentence(found.rule)}
