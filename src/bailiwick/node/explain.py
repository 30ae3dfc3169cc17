"""Where a payment would go and why, by the functions that payments use. Nothing is written."""

import falcon.asgi

from bailiwick.node import inbound
from bailiwick.node.orders.row_builder import wanted
from bailiwick.node.payments.request_params import CreatePayment, refuse_unsupported
from bailiwick.node.service import Node
from bailiwick.routing import match as routing
from bailiwick.wire.answers import json_answer


class Explain:
    """/v1/explain"""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def on_post(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Explain; nothing is written."""
        node = self._node
        who = inbound.principal(request, node)
        params, wish = await inbound.checked(request, CreatePayment)
        refuse_unsupported(wish)
        asked = inbound.asked(request, who, "create", "", params, [])
        location = inbound.located(node, who, wish.location)
        assignment = inbound.explainable(node, request, asked, wish, location)
        payment = node.creation.draft(asked, wish, location, assignment)
        found = node.gateways.match(wanted(payment, who.merchant.strategy))
        document = {
            "object": "explanation",
            "location": payment.details.location,
            "assignment": payment.details.assignment,
            "node": node.settings.name,
            "node_usage": node.load.usage(node.world.epoch),
            "routing": routing.shown(found),
        }
        json_answer(response, document)
