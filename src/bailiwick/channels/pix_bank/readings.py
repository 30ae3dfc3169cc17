"""What a bank's Pix can do, and what its charges, refunds and errors mean for money."""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from bailiwick.channels.blocks import amounts, parsing
from bailiwick.channels.blocks.forms import emv, problems, references
from bailiwick.channels.contract import (
    Act,
    Action,
    Family,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Reply,
    Resolve,
    Result,
    Takes,
    unknown,
)

_LASTS_MS = 1_800_000
PROFILE = Profile(
    name="pix_bank",
    title="Pix at a bank",
    resolve={
        Operation.CHARGE: (Resolve.REFERENCE, Resolve.CALLBACK),
        Operation.VOID: (Resolve.REFERENCE,),
        Operation.REFUND: (Resolve.REFERENCE, Resolve.CALLBACK),
    },
    # How soon what was put can be read is not said.
    visibility_ms=60_000,
    methods={"pix": (Takes(Family.SHOWN_CODE, lasts_ms=_LASTS_MS),)},
    currencies=("BRL",),
    contexts=True,
    reversal=True,
    secrets=("client_id", "client_secret"),
    options=("pix_key", "api_path", "token_path"),
    preparations=("token",),
)
REMOVED = "REMOVIDA_PELO_USUARIO_RECEBEDOR"

_ERRORS = "https://pix.bcb.gov.br/api/v2/error/"
_ABSENT = ("NaoEncontrado", "CobNaoEncontrado", "PixDevolucaoNaoEncontrada")
_GONE = (REMOVED, "REMOVIDA_PELO_PSP")
_REFUNDS = {
    "EM_PROCESSAMENTO": Outcome.PENDING,
    "DEVOLVIDO": Outcome.APPROVED,
    "NAO_REALIZADO": Outcome.DECLINED,
}


class Sum(msgspec.Struct, frozen=True):
    """What is to be paid."""

    original: Decimal


class Back(msgspec.Struct, frozen=True, rename="camel"):
    """A refund."""

    id: str
    status: str | None = None
    valor: Decimal | None = None
    rtr_id: parsing.Id | None = None
    motivo: str | None = None


class Paid(msgspec.Struct, frozen=True, rename="camel"):
    """A payment that was received. Webhooks have a single refund also without its list."""

    end_to_end_id: parsing.Id
    valor: Decimal | None = None
    txid: str | None = None
    devolucoes: list[Back] | Back | None = None

    @property
    def refunds(self) -> list[Back]:
        """Of it, the oldest first."""
        return [self.devolucoes] if isinstance(self.devolucoes, Back) else self.devolucoes or []


class Charge(msgspec.Struct, frozen=True, rename="camel"):
    """A charge, and what was paid for it."""

    txid: str
    status: str
    valor: Sum
    pix_copia_e_cola: str | None = None
    pix: list[Paid] | None = None


class Told(msgspec.Struct, frozen=True):
    """A webhook."""

    pix: list[Paid]


def seconds(order: Instruction) -> int:
    """How long the payer may pay a charge, from when it is permitted."""
    begun, ends = order.context, order.expires_ms
    return max(1, (_LASTS_MS if begun is None or ends is None else ends - begun.instant_ms) // 1000)


def word(status: str | None) -> str:
    """A status as a word of ours."""
    return parsing.word((status or "").lower()) or "unknown_status"


def is_absent(reply: Reply) -> bool:
    """Whether the bank says that there is no such thing."""
    return reply.status == 404 and problems.kind(reply, _ERRORS) in _ABSENT


def looked_up(instruction: Instruction, reply: Reply) -> Result:
    """What the answer to a look-up says; of a void, that of its charge."""
    if reply.status != 200:
        absent = is_absent(reply) and instruction.operation is not Operation.VOID
        detail = "not_found" if absent else parsing.not_answered(reply)
        return Result(Outcome.UNKNOWN, not_found=absent, detail=detail)
    return answer(instruction, reply, asked=True)


def answer(instruction: Instruction, reply: Reply, asked: bool = False) -> Result:
    """What a charge or refund says of what was wanted; ``asked``: it was looked up."""
    voided = instruction.operation is Operation.VOID
    if reply.status not in (200, 201):
        if voided and problems.kind(reply, _ERRORS) == "CobOperacaoInvalida":
            return unknown("not_open")  # it may be paid, or removed before
        return problems.refusal(reply, _ERRORS)
    if instruction.operation is Operation.REFUND:
        back = parsing.decode(reply.body, Back)
        if back is None or back.id != references.bare(instruction.reference):
            return unknown("unreadable" if back is None else "reference_mismatch")
        return _returned(back)
    found = parsing.decode(reply.body, Charge)
    reference = (instruction.charge_reference or "") if voided else instruction.reference
    if found is None or found.txid != references.bare(reference):
        return unknown("unreadable" if found is None else "reference_mismatch")
    if found.pix and found.status != "CONCLUIDA":
        return unknown("paid_otherwise")
    return _voided(found, asked) if voided else _stands(instruction, found)


def _returned(back: Back) -> Result:
    told = Result(_REFUNDS.get(back.status or "", Outcome.UNKNOWN), back.rtr_id)
    if told.outcome is Outcome.DECLINED:
        said = parsing.sentence(back.motivo)
        return replace(told, code="refund_failed", message=said, detail=word(back.status))
    detail = None if told.outcome is Outcome.APPROVED else word(back.status)
    return replace(told, amount=_minor(back.valor), currency="BRL", detail=detail)


def _voided(found: Charge, asked: bool) -> Result:
    if found.status in _GONE:
        return Result(Outcome.APPROVED, None, _minor(found.valor.original), "BRL", captured=False)
    if found.status == "CONCLUIDA":
        return Result(Outcome.DECLINED, code="void_failed", detail="paid")
    # What is open when it is asked about was not removed.
    return Result(Outcome.UNKNOWN, not_found=asked and found.status == "ATIVA", detail="not_done")


def _stands(instruction: Instruction, found: Charge) -> Result:
    if found.pix:
        paid = found.pix[0]
        if len(found.pix) > 1 or paid.txid not in (None, found.txid):
            return unknown("paid_otherwise")
        return Result(Outcome.APPROVED, paid.end_to_end_id, _minor(paid.valor), "BRL")
    if found.status != "ATIVA":
        gone = Result(Outcome.DECLINED, code="charge_canceled", detail=word(found.status))
        return gone if found.status in _GONE else unknown(word(found.status))
    if _minor(found.valor.original) != instruction.amount:
        return unknown("amount_mismatch")
    text = emv.code(found.pix_copia_e_cola, "986")
    shown = text and Action(Act.SHOWN_CODE, text=text, expires_ms=instruction.expires_ms)
    return Result(Outcome.PENDING, action=shown or None, detail="open")


def _minor(value: Decimal | None) -> int | None:
    return amounts.from_major(PROFILE, value, "BRL")
