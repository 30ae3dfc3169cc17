"""The payment methods of a place over HTTP."""

from collections.abc import Iterable

from bailiwick.base.clock import now_ms
from bailiwick.base.money import payment_amount, payment_currency
from bailiwick.base.objects import Object
from bailiwick.methods.locales import Spoken, spoken
from bailiwick.resources.available_payment_methods import RESOURCE
from bailiwick.resources.available_payment_methods.params import AvailableMethods
from bailiwick.resources.payment_method_configurations import effect
from bailiwick.resources.payments import placing
from bailiwick.routing.available import Available, available
from bailiwick.routing.match import Wanted
from bailiwick.serving import route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.route import Mounted, Request, Response, Route
from bailiwick.topology.routes.parts import Facts
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import struct_from


class AvailablePaymentMethods(Route):
    """/v1/available_payment_methods"""

    async def on_get(self, request: Request, response: Response) -> None:
        """The list, whole: there are never many."""
        node = self.node
        who = route.principal(request, node, public=True)
        params = route.query(request)
        wish = struct_from(params, AvailableMethods)
        currency = payment_currency(wish.currency)
        payment_amount(wish.amount, currency)
        location = placing.located(node, who, wish.location)
        asked = route.asked(request, who, "available_methods", "", params, [])
        _, elsewhere = placing.here(node, request, asked, location)
        if elsewhere is not None:
            raise elsewhere
        language = spoken(wish.locale, location.country)
        wanted = Wanted(
            payment="",
            country=location.country,
            amount=wish.amount,
            currency=currency,
            methods=(),
            manual_capture=wish.capture_method == "manual",
            livemode=who.livemode,
            strategy=who.merchant.strategy,
            facts=Facts(
                merchant=who.merchant.id,
                livemode=who.livemode,
                country=location.country,
                subdivision=location.subdivision,
                currency=currency,
                amount=wish.amount,
                methods=(),
                at_ms=now_ms(),
            ),
        )
        gateways = node.machine.gateways
        configured = effect.chosen(node.configurations, who, wish.payment_method_configuration)
        found = [
            each
            for each in available(gateways.facts(), wanted, wish.device, gateways.router.plan)
            if effect.is_on(configured, each.type)
        ]
        secret = who.kind == "secret"
        page = {
            "object": "list",
            "url": RESOURCE.path,
            "has_more": False,
            "data": [_shown(each, language, secret=secret) for each in found],
            "country": location.country,
            "locale": language.tag,
            "livemode": who.livemode,
        }
        json_answer(response, {**page, "node": node.name} if secret else page)


def _shown(of: Available, language: Spoken, *, secret: bool) -> Object:
    """One of them; which gateway would be asked is the merchant's business alone."""
    shown = {
        "object": RESOURCE.object,
        "type": of.type,
        "family": of.family,
        "display_name": of.method.name(language.language, language.script),
        "devices": list(of.method.devices),
    }
    return {**shown, "gateway": of.gateway} if secret else shown


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where they are served."""
    yield RESOURCE.path, AvailablePaymentMethods(node), ""
