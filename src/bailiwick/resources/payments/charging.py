"""What a payment asks of a gateway: to be chosen for it, and then to charge. Pure."""

from bailiwick.channels.base import Instruction, Operation
from bailiwick.resources.payments.rows import Payment
from bailiwick.routing.match import Wanted


def wanted(
    payment: Payment, strategy: str, *, token: str | None = None, shown_to: str | None = None
) -> Wanted:
    """What a payment asks of a gateway.

    ``token``: the payment method if not the payment's; ``shown_to``: see ``Wanted``.
    """
    token = token or payment.progress.payment_method
    return Wanted(
        payment=payment.id,
        country=payment.details.location["country"],
        amount=payment.amount,
        currency=payment.currency,
        methods=payment.details.method_types,
        manual_capture=payment.details.capture_method == "manual",
        livemode=payment.livemode,
        strategy=strategy,
        token=token,
        vault=payment.progress.vaults.get(token) if token else None,
        shown_to=shown_to,
    )


def charge_instruction(payment: Payment, method: str | None) -> Instruction:
    """What the gateway is asked to do for a payment; ``method``: by which type it takes it."""
    progress = payment.progress
    return Instruction(
        operation=Operation.CHARGE,
        reference="",
        amount=payment.amount,
        currency=payment.currency,
        automatic=payment.details.capture_method != "manual",
        payment_method_type=method or payment.details.method_types[0],
        payment_method=progress.payment_method,
        description=progress.description,
        return_url=progress.return_url,
        payment=payment.id,
    )
