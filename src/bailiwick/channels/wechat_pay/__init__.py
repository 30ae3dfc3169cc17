"""WeChat Pay: codes that either side shows, official accounts and mini programs, apps, pages; and
refunds.

Sources: https://pay.weixin.qq.com/doc/v3/merchant (code payment, native, JSAPI, app, H5, refunds,
signatures, callbacks), and the SDKs of wechatpay-apiv3. Requests are in ``orders``, signatures in
``signing``, readings of answers in ``readings``, what a payer is told in ``payers``.

How unknowns end: a charge by our reference, which WeChat Pay takes but once; a refund likewise.
"""

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import parsing, requests
from bailiwick.channels.blocks.signing import certificates, encryption
from bailiwick.channels.contract import (
    Account,
    BadSecret,
    CallbackEvent,
    CallbackRefused,
    Context,
    Family,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Prepared,
    Profile,
    Refused,
    Reply,
    Request,
    Resolve,
    Result,
    unknown,
)
from bailiwick.channels.wechat_pay import orders, payers, signing
from bailiwick.channels.wechat_pay import readings as read

_NO_ORDER = "/v3/pay/transactions/out-trade-no/credential_check?mchid="
_LASTS_MS = 12 * 3_600_000  # https://pay.weixin.qq.com/doc/v3/merchant/4012551764
_UNSIGNED = "The answer is not signed by WeChat Pay: correct "


class WeChatPayChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        keys = (account.secrets.get(signing.PUBLIC_KEY), account.options.get(signing.PUBLIC_KEY_ID))
        if any(keys) and not all(keys):
            raise BadSecret("secrets.public_key and options.public_key_id go together: give both")
        encryption.opened(account, "api_v3_key", "", "", "")  # raises: it is no key
        path = _NO_ORDER + account.options.get("mchid", "")
        return orders.get(account, path, Context(now_ms, now_ms))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        if reply.status in (401, 403):
            return requests.credential_problem("WeChat Pay", reply, "private_key")
        if not read.ANSWERS.is_signed(reply, account, None):
            own = signing.PUBLIC_KEY in account.secrets
            names = "secrets.public_key and options.public_key_id" if own else "base_url"
            return _UNSIGNED + names
        told = parsing.decode(reply.body, read.Told)
        known = told is not None and told.code in read.NO_ORDER
        return None if known else requests.credential_problem("WeChat Pay", reply, "private_key")

    def prepare(self, name: str, account: Account, now_ms: int) -> Request:
        return orders.get(account, "/v3/certificates", Context(now_ms, now_ms))

    def prepared(
        self, name: str, reply: Reply, account: Account, now_ms: int
    ) -> Prepared | Refused:
        if reply.status != 200:
            wrong = "see that secrets.private_key, options.serial_no and options.mchid fit together"
            return Refused(f"WeChat Pay answered {reply.status}", wrong)
        told = parsing.decode(reply.body, read.Certificates)
        if told is None:
            return Refused("certificates cannot be read", "see that base_url is WeChat Pay's")
        try:
            opened = [each.encrypt_certificate.opened(account) for each in told.data]
        except BadSecret as bad:
            return Refused("certificates cannot be opened", str(bad))
        texts = [each.decode(errors="replace") for each in opened if each is not None]
        values = certificates.by_serial(texts, now_ms)
        if values is None or len(texts) < len(opened):
            return Refused("certificates cannot be opened", "correct secrets.api_v3_key")
        if not values:
            return Refused("certificates have all ended", "see that this machine's clock is right")
        return Prepared(values, _LASTS_MS)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: a token, too little time for the payer, or no charge to act upon.
        """
        requests.only_declared(self.profile, instruction)
        return orders.request(instruction, account)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if not _signed(instruction, reply, account):
            return unknown(_silent(reply))
        told = parsing.decode(reply.body, read.Told) if reply.body else None
        if instruction.operation is Operation.CHARGE and (
            instruction.family is not Family.PRESENTED_CODE
        ):
            return payers.made(instruction, reply.status, told, account)
        if told is None and reply.body:
            return unknown(parsing.not_answered(reply))
        return read.done(instruction, _named(instruction), reply.status, told)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        return orders.look_up(instruction, account) if way is Resolve.REFERENCE else None

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if way is not Resolve.REFERENCE or not _signed(instruction, reply, account):
            return unknown(_silent(reply))
        told = parsing.decode(reply.body, read.Told)
        return read.looked_up(instruction, _named(instruction), reply.status, told)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        dated = not read.CALLBACKS.check(notice, account, now_ms)
        note = parsing.demand(notice.body, read.Note)
        try:
            opened = note.resource.opened(account)
        except BadSecret as bad:
            raise CallbackRefused(str(bad)) from None
        if opened is None:
            raise CallbackRefused("it is not sealed by secrets.api_v3_key")
        told = parsing.demand(opened, read.Told)
        if told.mchid != account.options.get("mchid"):
            raise CallbackRefused("it is for another mchid")
        if note.event_type == "TRANSACTION.SUCCESS":
            operation, own, known = Operation.CHARGE, told.out_trade_no, told.transaction_id
        elif note.event_type.startswith("REFUND."):
            operation, own, known = Operation.REFUND, told.out_refund_no, told.refund_id
        else:
            return None  # of another product
        if own is None or not is_id(own, "ch" if operation is Operation.CHARGE else "at"):
            return None  # of another use of the account
        says = read.trade(told) if operation is Operation.CHARGE else read.refund(own, told)
        result = None if says.outcome is Outcome.UNKNOWN else says
        return CallbackEvent(note.id, operation, own, known, result, dated)


CHANNEL = WeChatPayChannel()


def _signed(instruction: Instruction, reply: Reply, account: Account) -> bool:
    context = instruction.context
    return read.ANSWERS.is_signed(reply, account, context.instant_ms if context else None)


def _silent(reply: Reply) -> str:
    """Why it says nothing. Of a request with a wrong signature the answer has none."""
    return {200: "not_signed", 204: "not_signed", 401: "credentials"}.get(
        reply.status, parsing.not_answered(reply)
    )


def _named(instruction: Instruction) -> str:
    return instruction.charge_reference or instruction.reference
