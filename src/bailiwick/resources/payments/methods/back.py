"""Where a payer goes on to who has come back to the node. Pure."""

from urllib.parse import urlencode, urlsplit, urlunsplit

from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.states import State

_STATUS = {
    State.SUCCEEDED: "succeeded",
    State.REQUIRES_CAPTURE: "succeeded",
    State.REQUIRES_PAYMENT_METHOD: "failed",
    State.CANCELED: "failed",
}


def back(payment: Payment) -> str | None:
    """The client's own address, with the parameters by which its page knows the payment; None where
    it gave none. See https://docs.stripe.com/payments/bancontact/accept-a-payment
    (``return_url``)."""
    given = payment.progress.return_url
    if given is None:
        return None
    parts = urlsplit(given)
    told = urlencode(
        {
            "payment_intent": payment.id,
            "payment_intent_client_secret": payment.details.client_secret,
            "redirect_status": _STATUS.get(State(payment.state), "pending"),
        }
    )
    query = f"{parts.query}&{told}" if parts.query else told
    return urlunsplit(parts._replace(query=query))
