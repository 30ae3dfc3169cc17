"""Pix at a bank, by the interface that Brazil's central bank publishes for those who are paid:
immediate charges (``cob``) that a payer scans, their removal, and refunds (``devolução``).

Source: https://github.com/bacen/pix-api, version 2.9.0. Banks differ in where its paths begin and
where tokens are had: both are options. Readings are in ``readings``.

How unknowns end: charges and refunds are put, and read, under ids of ours. What is not found was
never taken, and nobody was shown its code. A void is a state of the charge, and is read there.
Webhooks come over mutual TLS, and nothing signs them: the node asks.
"""

from urllib.parse import quote

from bailiwick.channels.blocks import amounts, oauth, parsing, requests
from bailiwick.channels.blocks.forms import references
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    Instruction,
    Notice,
    Operation,
    Prepared,
    Profile,
    Refused,
    Reply,
    Request,
    Resolve,
    Result,
)
from bailiwick.channels.pix_bank import readings as read

_SCOPE = "cob.read cob.write pix.read pix.write"
_NOBODYS = "at_" + "0" * 26


class PixBankChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def prepare(self, name: str, account: Account, now_ms: int) -> Request:
        return _tokens(account).request(account)

    def prepared(
        self, name: str, reply: Reply, account: Account, now_ms: int
    ) -> Prepared | Refused:
        return _tokens(account).read(reply)

    def check(self, account: Account, now_ms: int) -> Request:
        """Asks for a charge that there is not."""
        order = Instruction(Operation.CHARGE, _NOBODYS, 0, "BRL")
        return requests.get(account, _at(order, account), oauth.bearer(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        if read.is_absent(reply):
            return None
        return requests.credential_problem("the bank", reply, "client_secret")

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See there. Raises CannotExpress: an amount, or a charge that is not known."""
        requests.only_declared(self.profile, instruction)
        path, headers = _at(instruction, account), oauth.bearer(account)
        if instruction.operation is Operation.VOID:
            return requests.send_json(account, "PATCH", path, headers, {"status": read.REMOVED})
        value = amounts.to_major(self.profile, instruction.amount, instruction.currency)
        if instruction.operation is Operation.REFUND:
            return requests.send_json(account, "PUT", path, headers, {"valor": value})
        body: dict[str, object] = {
            "calendario": {"expiracao": read.seconds(instruction)},
            "valor": {"original": value},
            "chave": account.options.get("pix_key", ""),
        }
        if instruction.description:
            body["solicitacaoPagador"] = instruction.description[:140]
        return requests.send_json(account, "PUT", path, headers, body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        return read.answer(instruction, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        if way is not Resolve.REFERENCE:
            return None
        return requests.get(account, _at(instruction, account), oauth.bearer(account))

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        return read.looked_up(instruction, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        for paid in parsing.demand(notice.body, read.Told).pix:
            for back in reversed(paid.refunds):
                if (refund := references.own(back.id)) is not None:
                    named = f"{paid.end_to_end_id}:{back.id}:{read.word(back.status)}"
                    return CallbackEvent(named, Operation.REFUND, refund)
            if (charge := references.own(paid.txid)) is not None:
                return CallbackEvent(paid.end_to_end_id, Operation.CHARGE, charge)
        return None  # of another use of the account


CHANNEL = PixBankChannel()


def _tokens(account: Account) -> oauth.ClientCredentials:
    return oauth.ClientCredentials("the bank", account.options.get("token_path", ""), scope=_SCOPE)


def _at(instruction: Instruction, account: Account) -> str:
    """The path of the charge or refund that an instruction makes, or removes."""
    own, path = instruction.reference, account.options.get("api_path", "").rstrip("/")
    if instruction.operation is Operation.VOID:
        own = parsing.charge_reference(instruction)
    if instruction.operation is Operation.REFUND:
        path += f"/pix/{quote(parsing.charge_id(instruction), safe='')}/devolucao/"
    else:
        path += "/cob/"
    return path + quote(references.bare(own), safe="")
