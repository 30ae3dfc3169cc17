"""What a payer pays by that is no token: its type, how the payer meets the provider, until when.

Pure. It is kept with the payment from the request that brings it to the end of its attempt.
"""

from typing import Any

import msgspec
from msgspec import UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    BY_ITSELF,
    Address,
    Family,
    Instruction,
    Payer,
    Takes,
)
from bailiwick.methods import every
from bailiwick.resources.payments.methods.params import Data, MethodData, MethodOptions
from bailiwick.routing.match import Routing

_DAY_MS = 86_400_000
LASTS_MAX_MS = 90 * _DAY_MS
SOON_MS = 1_000
"""What is left of the payer's time when a request is refused for having none."""
DATA = "payment_method_data"
OPTIONS = "payment_method_options"
_IN_DATA = ("code", "wallet_id", "virtual_address", "device", "ip_address")
_NOBODY: frozenset[str] = frozenset()
_replace = msgspec.structs.replace


class Tender(msgspec.Struct, frozen=True, omit_defaults=True):
    """See the module's description.

    Attributes:
        type: of the payment method, by the API's name.
        flow: how the payer meets the provider, if the client has said.
        code: scanned off the payer's phone, or read out by the payer; good once.
        wallet_id, virtual_address, device, ip_address: see ``Payer``.
        until_ms: until when the payer may act (Unix time in milliseconds); ``lasts_ms``: or for how
            long from the confirmation on.
    """

    type: str
    flow: Family | None = None
    code: str | None = None
    wallet_id: str | None = None
    virtual_address: str | None = None
    until_ms: int | None = None
    lasts_ms: int | None = None
    device: str | None = None
    ip_address: str | None = None


Options = MethodOptions | None | UnsetType


def tender_of(data: Data, options: Options, known: Tender | None = None) -> Tender | None:
    """What a request pays by, if not by a token; ``known``: what an earlier one did.

    Raises:
        ApiError: 400, parts of it do not fit each other.
    """
    found = known
    if isinstance(data, MethodData):
        kind = data.kind()
        found = None if kind == "card" else _given(data, kind)
        if kind == "card":
            _refuse_for_cards(data)
    if isinstance(options, MethodOptions):
        found = _with_options(found, options)
    return found


def _given(data: MethodData, kind: str) -> Tender:
    flow = None if data.flow is None else Family(data.flow)
    if flow is None:
        flow = (
            Family.PRESENTED_CODE
            if data.code is not None
            else Family.IN_APP
            if data.wallet_id is not None
            else Family.PUSH
            if data.virtual_address is not None
            else None
        )
    for name, family in (
        ("code", Family.PRESENTED_CODE),
        ("wallet_id", Family.IN_APP),
        ("virtual_address", Family.PUSH),
    ):
        if getattr(data, name) is not None and flow is not family:
            raise ApiError.invalid(
                f"{name} goes with {DATA}[flow]={family}: leave one of them out.",
                param=f"{DATA}[{name}]",
            )
    if data.boleto is not None and kind != "boleto":
        raise _of_another_type("boleto", kind, DATA)
    until = None if data.expires_at is None else data.expires_at * 1000
    return Tender(
        kind,
        flow,
        data.code,
        data.wallet_id,
        data.virtual_address,
        until,
        device=data.device,
        ip_address=data.ip_address,
    )


def _refuse_for_cards(data: MethodData) -> None:
    for name in ("flow", "boleto", "expires_at", *_IN_DATA):
        if getattr(data, name) is not None:
            raise ApiError.invalid(
                f"{name} is not for cards: leave it out.", param=f"{DATA}[{name}]"
            )


def _with_options(tender: Tender | None, options: MethodOptions) -> Tender | None:
    for name in ("wechat_pay", "pix", "blik", "boleto", "oxxo"):
        if getattr(options, name) is None:
            continue
        if tender is None or tender.type != name:
            raise _of_another_type(name, None if tender is None else tender.type, OPTIONS)
    if tender is None:
        return None
    if options.wechat_pay is not None and options.wechat_pay.client is not None:
        web = options.wechat_pay.client == "web"
        tender = _flowing(tender, Family.SHOWN_CODE if web else Family.IN_APP)
    if options.blik is not None and options.blik.code is not None:
        tender = _replace(_flowing(tender, Family.PRESENTED_CODE), code=options.blik.code)
    if options.pix is not None:
        tender = _expiring(tender, options)
    for slip in (options.boleto, options.oxxo):
        if slip is not None and slip.expires_after_days is not None:
            tender = _replace(tender, lasts_ms=slip.expires_after_days * _DAY_MS, until_ms=None)
    return tender


def _flowing(tender: Tender, flow: Family) -> Tender:
    if tender.flow not in (None, flow):
        raise ApiError.invalid(
            f"{OPTIONS}[{tender.type}] asks for {flow}, and {DATA}[flow] for {tender.flow}: leave "
            "one of them out.",
            param=f"{OPTIONS}[{tender.type}]",
        )
    return _replace(tender, flow=flow)


def _expiring(tender: Tender, options: MethodOptions) -> Tender:
    assert options.pix is not None
    after, at = options.pix.expires_after_seconds, options.pix.expires_at
    if after is not None and at is not None:
        raise ApiError.invalid(
            f"You may only specify one of these parameters: {OPTIONS}[pix][expires_after_seconds], "
            f"{OPTIONS}[pix][expires_at].",
            param=f"{OPTIONS}[pix][expires_at]",
        )
    if after is not None:
        return _replace(tender, lasts_ms=after * 1000, until_ms=None)
    return tender if at is None else _replace(tender, until_ms=at * 1000, lasts_ms=None)


def _of_another_type(name: str, kind: str | None, where: str) -> ApiError:
    what = "nothing yet" if kind is None else kind
    return ApiError.invalid(
        f"{where}[{name}] is for payments by {name}, and this one is paid by {what}: send it "
        f"together with {DATA}[type]={name}.",
        param=f"{where}[{name}]",
    )


def families(tender: Tender | None) -> tuple[Family, ...]:
    """The ways in which the payer can meet the provider, the preferred one first."""
    if tender is None:
        return (Family.TOKEN,)
    if tender.flow is not None:
        return (tender.flow,)
    method = every().get(tender.type)
    usual = BY_ITSELF[0] if method is None else method.family
    return (usual, *(each for each in BY_ITSELF if each is not usual))


def payer(tender: Tender | None, billing: dict[str, Any] | None, email: str | None) -> Payer:
    """All that is known of who pays; ``email``: where the receipt goes, if it is all there is."""
    given = billing or {}
    address = given.get("address")
    return Payer(
        name=given.get("name"),
        email=given.get("email") or email,
        phone=given.get("phone"),
        tax_id=given.get("tax_id"),
        address=None if not address else msgspec.convert(address, Address),
        wallet_id=None if tender is None else tender.wallet_id,
        virtual_address=None if tender is None else tender.virtual_address,
        device=None if tender is None else tender.device,
        ip_address=None if tender is None else tender.ip_address,
    )


def known(
    tender: Tender | None, billing: dict[str, Any] | None, email: str | None
) -> frozenset[str]:
    """The names of what is known of who pays, and ``code`` if there is one."""
    if tender is None and billing is None and email is None:
        return _NOBODY
    found = payer(tender, billing, email).known()
    return found | {"code"} if tender is not None and tender.code is not None else found


def until(tender: Tender | None, takes: Takes, now_ms: int) -> int | None:
    """Until when the payer may act; None: as long as the provider lets it.

    Raises:
        ApiError: 400, that is past, or too far away.
    """
    if takes.family is Family.TOKEN or tender is None:
        return None
    if tender.until_ms is None:
        lasts = tender.lasts_ms or takes.lasts_ms
        return None if lasts is None else now_ms + lasts
    if not now_ms + SOON_MS < tender.until_ms <= now_ms + LASTS_MAX_MS:
        raise ApiError.invalid(
            "The payer's time ends in the past, or in more than 90 days: send another expires_at.",
            param=f"{DATA}[expires_at]",
        )
    return tender.until_ms


def met(
    instruction: Instruction,
    tender: Tender | None,
    who: Payer,
    routing: Routing,
    now_ms: int,
) -> Instruction:
    """A charge as the gateway chosen takes it: by which type and in which way, and with what of the
    payer it has to know. Raises ApiError (400)."""
    takes = routing.takes or Takes()
    return _replace(
        instruction,
        payment_method_type=routing.method or instruction.payment_method_type,
        family=takes.family,
        code=None if tender is None else tender.code,
        payer=who.only((*takes.needs, *takes.tells)),
        expires_ms=until(tender, takes, now_ms),
    )


def check(tender: Tender | None, types: tuple[str, ...]) -> None:
    """Refuse what the payment does not take. Raises ApiError (400)."""
    if tender is not None and tender.type not in types:
        raise ApiError.invalid(
            f"The payment method ({tender.type}) is not among those that this PaymentIntent takes "
            f"({', '.join(types)}): create it with payment_method_types[]={tender.type}.",
            param=f"{DATA}[type]",
            code="payment_intent_incompatible_payment_method",
        )


_PARAMS = {name: f"{DATA}[{name}]" for name in _IN_DATA}


def lacking(names: tuple[str, ...]) -> ApiError:
    """The answer where a gateway would take it if it knew more of the payer."""
    params = [_PARAMS.get(each, f"{DATA}[billing_details][{each}]") for each in names]
    return ApiError.invalid(
        f"The provider has to know more of the payer: send {' and '.join(params)}.",
        param=params[0],
        code="parameter_missing",
    )


def check_return(takes: Takes | None, return_url: str | None) -> None:
    """Refuse to send the payer away without a way back. Raises ApiError (400)."""
    if takes is not None and takes.returns and return_url is None:
        raise ApiError.invalid(
            "This payment method sends the payer elsewhere: send return_url, where the payer comes "
            "back to.",
            param="return_url",
            code="parameter_missing",
        )


def refuse_for_later(tender: Tender | None, future: object, off_session: bool | None) -> None:
    """Refuse to save, or to use without the payer, what is good once. Raises ApiError (400)."""
    if tender is None:
        return
    for name, given in (("setup_future_usage", future), ("off_session", off_session)):
        if given:
            raise ApiError.invalid(
                f"{name} is for payment methods that can be saved, and {tender.type} is good "
                "once: leave it out.",
                param=name,
            )
