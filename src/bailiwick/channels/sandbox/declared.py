"""What the sandbox provider can do, as it declares itself. Pure."""

from bailiwick.channels.blocks import signatures, words
from bailiwick.channels.contract import Family, Operation, Profile, Resolve, Takes

_WAYS = (Resolve.REFERENCE, Resolve.REPLAY, Resolve.CALLBACK)
_WEEK_MS = 7 * 24 * 3_600_000
_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS

COMPLETE = "complete"
"""The step by which a charge is completed whose payer has approved."""
SIGNED = signatures.Timestamped("sandbox-signature")

_TOKEN = Takes()
_PAGE = Takes(Family.REDIRECT, returns=True, lasts_ms=_DAY_MS)
_ORDER = Takes(Family.REDIRECT, returns=True, lasts_ms=_DAY_MS, completed_by=COMPLETE)
_BROUGHT = Takes(
    Family.REDIRECT,
    returns=True,
    lasts_ms=_DAY_MS,
    completed_by=COMPLETE,
    return_step=COMPLETE,
    return_params=("result",),
)
_SHOWN = Takes(Family.SHOWN_CODE, lasts_ms=30 * _MINUTE_MS)
_PRESENTED = Takes(Family.PRESENTED_CODE, needs=("code",), lasts_ms=_MINUTE_MS)
_IN_APP = Takes(Family.IN_APP, needs=("wallet_id",), lasts_ms=30 * _MINUTE_MS)
_TRANSFER = Takes(Family.TRANSFER, tells=("name", "email"), lasts_ms=14 * _DAY_MS)


def _asked(who: str) -> Takes:
    return Takes(Family.PUSH, needs=(who,), lasts_ms=5 * _MINUTE_MS)


def _slip(*needs: str) -> Takes:
    return Takes(Family.VOUCHER, needs=needs, tells=("address",), lasts_ms=3 * _DAY_MS)


PROFILE = Profile(
    name="sandbox",
    title="Sandbox provider",
    resolve=dict.fromkeys(Operation, _WAYS),
    steps={COMPLETE: _WAYS},
    visibility_ms=5_000,
    replay_ms=_WEEK_MS,
    methods={
        "alipay": (_PAGE, _PRESENTED, _IN_APP, _SHOWN),
        "bank_transfer": (_TOKEN, _TRANSFER),
        "blik": (_PRESENTED,),
        "boleto": (_slip("name", "email", "tax_id"),),
        "card": (_TOKEN,),
        "ideal": (_PAGE,),
        "mpesa": (_asked("phone"),),
        "oxxo": (_slip("name", "email"),),
        "paynow": (_SHOWN,),
        "paypal": (_ORDER,),
        "pix": (_SHOWN,),
        "qris": (_SHOWN,),
        "unionpay": (_PRESENTED, _SHOWN),
        "upi": (_TOKEN, _asked("virtual_address"), _SHOWN),
        "wallet": (_TOKEN, _BROUGHT),
        "wechat_pay": (_SHOWN, _PRESENTED, _IN_APP, _PAGE),
    },
    exponents={"ISK": 2, "UGX": 2, "MGA": 0},  # it takes the minor units of our API
    partial_approval=True,
    multiple_captures=True,
    overcapture_percent=15,
    agreements=True,
    evidence_files=True,
    reversal=True,
    secrets=("api_key", "callback_secret"),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
    shared_tokens=rf"{words.TEST_CARDS}|pm_sandbox_[A-Za-z0-9_]+",
)
