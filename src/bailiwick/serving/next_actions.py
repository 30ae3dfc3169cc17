"""What a payer has to do, as ``next_action`` shows it. Pure but for the pictures of codes.

Stripe's names where it has the type of payment method
(https://docs.stripe.com/api/payment_intents/object, ``next_action``), else ours, by what is to be
done: ``display_qr_code``, ``open_in_app``, ``wait_for_payer``, ``display_voucher_details``.
"""

from collections.abc import Callable
from functools import lru_cache

from bailiwick.base.objects import Object
from bailiwick.channels.contract import Act, Action

QR_CODES = {
    "paynow": "paynow_display_qr_code",
    "pix": "pix_display_qr_code",
    "promptpay": "promptpay_display_qr_code",
    "upi": "upi_handle_redirect_or_display_qr_code",
    "wechat_pay": "wechat_pay_display_qr_code",
}
VOUCHERS = {
    "boleto": "boleto_display_details",
    "konbini": "konbini_display_details",
    "multibanco": "multibanco_display_details",
    "oxxo": "oxxo_display_details",
}


def next_action_of(action: Action, method: str, return_url: str | None) -> Object:
    """An action as clients see it; ``method``: the type of payment method."""
    name, fields = _SHOWN[action.type](action, method)
    if action.type is Act.REDIRECT:
        fields["return_url"] = return_url
    return {"type": name, name: fields}


def _redirect(action: Action, method: str) -> tuple[str, Object]:
    return "redirect_to_url", {"url": action.url}


def _shown_code(action: Action, method: str) -> tuple[str, Object]:
    name = QR_CODES.get(method, "display_qr_code")
    text = action.text or ""
    fields: Object = {
        "data": text,
        "expires_at": _seconds(action),
        "hosted_instructions_url": action.url,
        "image_url_png": picture(text, "png"),
        "image_url_svg": picture(text, "svg"),
    }
    if method == "wechat_pay":
        fields["image_data_url"] = fields["image_url_png"]
    return name, fields


def _in_app(action: Action, method: str) -> tuple[str, Object]:
    return "open_in_app", {"parameters": action.parameters, "expires_at": _seconds(action)}


def _waits(action: Action, method: str) -> tuple[str, Object]:
    if method == "blik":
        return "blik_authorize", {}
    return "wait_for_payer", {"expires_at": _seconds(action)}


def _voucher(action: Action, method: str) -> tuple[str, Object]:
    return VOUCHERS.get(method, "display_voucher_details"), {
        "number": action.number,
        "reference": action.reference,
        "expires_at": _seconds(action),
        "hosted_voucher_url": action.url,
    }


def _transfer(action: Action, method: str) -> tuple[str, Object]:
    return "display_bank_transfer_instructions", {
        "reference": action.reference,
        "account": action.account,
        "expires_at": _seconds(action),
        "hosted_instructions_url": action.url,
    }


_SHOWN: dict[Act, Callable[[Action, str], tuple[str, Object]]] = {
    Act.REDIRECT: _redirect,
    Act.SHOWN_CODE: _shown_code,
    Act.IN_APP: _in_app,
    Act.PUSH: _waits,
    Act.WAIT: _waits,
    Act.VOUCHER: _voucher,
    Act.TRANSFER: _transfer,
}


def _seconds(action: Action) -> int | None:
    return None if action.expires_ms is None else action.expires_ms // 1000


@lru_cache(maxsize=256)
def picture(text: str, kind: str) -> str:
    """A text as a QR code (ISO/IEC 18004), as an address that holds the picture itself: nobody
    else's server is asked for it. ``kind``: ``png`` or ``svg``."""
    # Few payments show a code: a process that shows none does not load it.
    import segno

    code = segno.make(text, micro=False)
    return str(code.png_data_uri(scale=4) if kind == "png" else code.svg_data_uri(scale=4))
