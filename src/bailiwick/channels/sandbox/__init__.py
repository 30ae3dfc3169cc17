"""The sandbox provider's HTTP protocol: a bank for tests and demonstrations.

Every operation can be looked up by our reference and is recognised by it when repeated, and
callbacks are signed, so each unknown has a definite end here.
"""

from urllib.parse import quote

import msgspec

from bailiwick.channels.blocks import amounts, parsing, requests, words
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CallbackRefused,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Profile,
    Reply,
    Request,
    Resolve,
    Result,
    no_such_method,
    unknown,
)
from bailiwick.channels.sandbox import disputes, meeting, payouts
from bailiwick.channels.sandbox.declared import PROFILE, SIGNED
from bailiwick.channels.sandbox.messages import (
    CaptureBody,
    Charge,
    Event,
    Failure,
    IncrementBody,
    Lookup,
    Reason,
    Refund,
    RefundBody,
    SetupBody,
    VoidBody,
)


class SandboxChannel:
    """See the module's description."""

    profile: Profile = PROFILE

    def authenticated(self, account: Account) -> dict[str, str]:
        """The headers of each request; see ``channels/sandbox_oauth``."""
        return requests.bearer(account)

    def check(self, account: Account, now_ms: int) -> Request:
        return requests.get(account, "/account", self.authenticated(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("the sandbox", reply)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: a capture, void or refund without the provider's id of the charge.
        """
        requests.only_declared(PROFILE, instruction)
        path, body = _order(instruction)
        return requests.post_json(account, path, self.authenticated(account), body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status != 200:
            return _parse_failure(instruction, reply)
        if instruction.operation in disputes.ABOUT:
            return disputes.parse(instruction, reply)
        if instruction.operation in payouts.ABOUT:
            return payouts.parse(instruction, reply)
        if instruction.operation is Operation.REFUND:
            refund = parsing.decode(reply.body, Refund)
            return unknown("unreadable") if refund is None else _read_refund(instruction, refund)
        if instruction.operation is Operation.VOID and meeting.by_reference(instruction):
            return meeting.parse(instruction, reply)
        charge = parsing.decode(reply.body, Charge)
        return unknown("unreadable") if charge is None else _read(instruction, charge)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        if way is not Resolve.REFERENCE:
            return None
        path = f"/operations/{quote(instruction.reference, safe='')}"
        return requests.get(account, path, self.authenticated(account))

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status == 404:
            failure = parsing.decode(reply.body, Failure)
            if failure is not None and failure.error.code == "not_found":
                return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
        if reply.status != 200:
            # A refused look-up says nothing about the operation looked for.
            return unknown(parsing.not_answered(reply))
        found = parsing.decode(reply.body, Lookup)
        if found is None:
            return unknown("unreadable")
        if found.reference != instruction.reference or found.type != instruction.operation:
            return unknown("reference_mismatch")
        result = _read_lookup(instruction, found)
        return result if _consistent(found.status, result) else unknown("contradiction")

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        dated = not SIGNED.check(notice, account, now_ms)
        event = parsing.decode(notice.body, Event)
        if event is None:
            raise CallbackRefused("the body is not a callback of the sandbox")
        if event.type == "charge.updated":
            charge = parsing.decode(bytes(event.data), Charge)
            if charge is not None:
                result = _charge_result(charge, _taken(charge))
                about = (Operation.CHARGE, charge.reference, charge.id)
                return CallbackEvent(event.id, *about, result, dated)
        elif event.type == "setup.updated":
            charge = parsing.decode(bytes(event.data), Charge)
            if charge is not None:
                about = (Operation.SETUP, charge.reference, charge.id)
                return CallbackEvent(event.id, *about, _charge_result(charge, None), dated)
        elif event.type == "refund.updated":
            refund = parsing.decode(bytes(event.data), Refund)
            if refund is not None:
                about = (Operation.REFUND, refund.reference, refund.id)
                return CallbackEvent(event.id, *about, _refund_result(refund), dated)
        elif event.type == "dispute.updated":
            told = disputes.notice(event.id, bytes(event.data), dated=dated)
            if told is not None:
                return told
        elif event.type == "payout.updated":
            told = payouts.notice(event.id, bytes(event.data), dated=dated)
            if told is not None:
                return told
        else:
            return None
        raise CallbackRefused("the callback's object cannot be read")


CHANNEL = SandboxChannel()


def _order(instruction: Instruction) -> tuple[str, msgspec.Struct]:
    reference, amount = instruction.reference, instruction.amount
    if instruction.operation is Operation.CHARGE:
        if instruction.step is not None:
            return meeting.completion(instruction)
        return "/charges", meeting.charge_body(instruction)
    if instruction.operation is Operation.SETUP:
        return "/setups", SetupBody(
            reference,
            instruction.payment_method or "",
            instruction.return_url,
            instruction.callback_url,
        )
    if instruction.operation in disputes.ABOUT:
        return disputes.order(instruction)
    if instruction.operation in payouts.ABOUT:
        return payouts.order(instruction)
    if instruction.operation is Operation.VOID and meeting.by_reference(instruction):
        return meeting.give_up(instruction)
    charge = parsing.charge_id(instruction)
    if instruction.operation is Operation.REFUND:
        return "/refunds", RefundBody(reference, charge, amount, instruction.callback_url)
    path = f"/charges/{quote(charge, safe='')}/{instruction.operation}"
    if instruction.operation is Operation.CAPTURE:
        return path, CaptureBody(reference, amount, instruction.final)
    if instruction.operation is Operation.INCREMENT:
        return path, IncrementBody(reference, amount)
    return path, VoidBody(reference)


def _parse_failure(instruction: Instruction, reply: Reply) -> Result:
    failure = parsing.decode(reply.body, Failure)
    why = parsing.refused(reply.status, failure)
    if failure is None or not 400 <= reply.status < 500 or reply.status == 408:
        return unknown(parsing.not_answered(reply))
    code, message = parsing.word(failure.error.code), parsing.sentence(failure.error.message)
    if instruction.step is not None:
        return meeting.not_completed(instruction, code)
    if why is not None:
        return Result(
            Outcome.DECLINED, code="processing_error", message=message, retryable=True, detail=why
        )
    if reply.status == 409:
        detail = "reference_mismatch" if code == "reference_mismatch" else "conflict"
        return unknown(detail)
    if code == "source_unknown" and instruction.operation in (Operation.CHARGE, Operation.SETUP):
        return no_such_method()
    return Result(Outcome.DECLINED, code=code, message=message, detail="refused")


def _read(instruction: Instruction, charge: Charge) -> Result:
    if instruction.operation in (Operation.CHARGE, Operation.SETUP):
        if (
            charge.reference != instruction.reference
            or charge.object != instruction.operation.value
        ):
            return unknown("reference_mismatch")
        if instruction.operation is Operation.SETUP:
            return _charge_result(charge, None)
        return _read_charge(instruction, charge)
    known = instruction.charge_reference
    if known is not None and charge.reference != known:
        return unknown("reference_mismatch")
    if instruction.provider_ref is not None and charge.id != instruction.provider_ref:
        return unknown("reference_mismatch")
    if instruction.operation is Operation.CAPTURE:
        return _read_capture(instruction, charge)
    if instruction.operation is Operation.INCREMENT:
        return _read_increment(instruction, charge)
    if charge.status == "captured":  # of which a part was: the rest is released
        held = charge.amount_authorized or charge.amount
        left = None if held is None else held - (charge.amount_captured or 0)
        return _approved(charge, left, captured=False)
    return _done(charge, "voided", charge.amount_authorized or charge.amount, captured=False)


def _read_capture(instruction: Instruction, charge: Charge) -> Result:
    """One capture, of which there may be several: the answer says which it is about."""
    done = charge.capture
    if done is None:
        return _done(charge, "captured", charge.amount_captured, captured=True)
    if done.reference != instruction.reference:
        return unknown("reference_mismatch")
    return _approved(charge, done.amount, captured=True)


def _read_increment(instruction: Instruction, charge: Charge) -> Result:
    """One increment, of which there may be several: the answer says which it is about."""
    done = charge.increment
    if done is None:
        return msgspec.structs.replace(unknown("not_done"), provider_ref=charge.id)
    if done.reference != instruction.reference:
        return unknown("reference_mismatch")
    return _approved(charge, done.amount, captured=False)


def _read_charge(instruction: Instruction, charge: Charge) -> Result:
    due = meeting.approved(instruction, charge)
    if due is not None:
        return due
    if charge.status not in ("captured", "authorized"):
        return _charge_result(charge, None)
    if charge.amount is not None and charge.amount != instruction.amount:
        # Told apart from a partial approval, which repeats the amount asked for.
        return msgspec.structs.replace(
            _charge_result(charge, charge.amount), outcome=Outcome.UNKNOWN, detail="amount_mismatch"
        )
    held = charge.amount_authorized if charge.amount_authorized is not None else charge.amount
    if charge.status == "authorized" or not instruction.automatic:
        return _charge_result(charge, held)
    if held != charge.amount_captured and None not in (held, charge.amount_captured):
        return msgspec.structs.replace(
            _charge_result(charge, held), outcome=Outcome.UNKNOWN, detail="amount_mismatch"
        )
    return _charge_result(charge, charge.amount_captured if held is not None else None)


def _taken(charge: Charge) -> int | None:
    """What a callback says was taken or is held, without knowing what was asked for."""
    if charge.status == "captured":
        return charge.amount_captured
    return charge.amount_authorized if charge.amount_authorized is not None else charge.amount


def _charge_result(charge: Charge, amount: int | None) -> Result:
    currency = amounts.upper(charge.currency)
    if charge.object == "setup" and charge.status == "stored":
        found = Result(Outcome.APPROVED, charge.id, charge.amount, currency, captured=False)
        return msgspec.structs.replace(found, agreement=charge.agreement)
    if charge.status in ("captured", "authorized"):
        captured = charge.status == "captured"
        found = Result(Outcome.APPROVED, charge.id, amount, currency, captured)
        return msgspec.structs.replace(found, agreement=charge.agreement)
    if charge.status == "declined":
        return _decline(charge.id, charge.decline, "card_declined")
    if charge.status == "voided":
        return Result(Outcome.DECLINED, charge.id, code="charge_voided", detail="voided")
    due = meeting.approved(None, charge)
    if due is not None:
        return due
    if charge.status in ("pending", "action_required"):
        action = meeting.action(charge.action, charge.redirect_url)
        return Result(Outcome.PENDING, charge.id, action=action, detail=charge.status)
    return msgspec.structs.replace(unknown("unknown_status"), provider_ref=charge.id)


def _done(charge: Charge, status: str, amount: int | None, *, captured: bool) -> Result:
    if charge.status == status:
        return _approved(charge, amount, captured=captured)
    if charge.status == "pending":
        return Result(Outcome.PENDING, charge.id, detail="pending")
    return msgspec.structs.replace(unknown("not_done"), provider_ref=charge.id)


def _approved(charge: Charge, amount: int | None, *, captured: bool) -> Result:
    return Result(Outcome.APPROVED, charge.id, amount, amounts.upper(charge.currency), captured)


def _read_refund(instruction: Instruction, refund: Refund) -> Result:
    if refund.reference != instruction.reference:
        return unknown("reference_mismatch")
    return _refund_result(refund)


def _refund_result(refund: Refund) -> Result:
    currency = amounts.upper(refund.currency)
    if refund.status == "succeeded":
        return Result(Outcome.APPROVED, refund.id, refund.amount, currency)
    if refund.status == "pending":
        return Result(Outcome.PENDING, refund.id, refund.amount, currency, detail="pending")
    if refund.status == "failed":
        return _decline(refund.id, refund.failure, "refund_failed")
    return msgspec.structs.replace(unknown("unknown_status"), provider_ref=refund.id)


def _decline(provider_ref: str, reason: Reason | None, fallback: str) -> Result:
    given = reason or Reason()
    code, decline_code = parsing.word(given.code), parsing.word(given.decline_code)
    return Result(
        Outcome.DECLINED,
        provider_ref,
        code=code or fallback,
        decline_code=decline_code,
        message=parsing.sentence(given.message),
        retryable=(decline_code or code) in words.RETRYABLE_DECLINES,
        detail="declined",
    )


def _read_lookup(instruction: Instruction, found: Lookup) -> Result:
    if instruction.operation is Operation.REFUND:
        if found.refund is None:
            return unknown("unreadable")
        return _read_refund(instruction, found.refund)
    if instruction.operation in disputes.ABOUT:
        return disputes.read_lookup(instruction, found)
    if instruction.operation in payouts.ABOUT:
        return payouts.read_lookup(instruction, found)
    if instruction.operation is Operation.VOID and meeting.by_reference(instruction):
        return meeting.read_lookup(instruction, found)
    if found.charge is None:
        return unknown("unreadable")
    if instruction.operation in (Operation.CHARGE, Operation.SETUP):
        return _read(instruction, found.charge)
    if found.status == "failed":
        code = f"{instruction.operation}_failed"
        return Result(Outcome.DECLINED, found.charge.id, code=code, detail="declined")
    if found.status == "pending":
        return Result(Outcome.PENDING, found.charge.id, detail="pending")
    return _read(msgspec.structs.replace(instruction, provider_ref=None), found.charge)


def _consistent(status: str, result: Result) -> bool:
    """Whether the look-up's own verdict and the object it shows say the same."""
    if result.outcome is Outcome.UNKNOWN:
        return True
    if result.detail == "voided":
        return status != "pending"
    allowed = {
        "succeeded": Outcome.APPROVED,
        "failed": Outcome.DECLINED,
        "pending": Outcome.PENDING,
    }
    return allowed[status] is result.outcome
