"""What may be done with a dispute: gather evidence, submit it, or accept that it is lost."""

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import own
from bailiwick.channels.contract import Document, Instruction, Operation
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.orders.machine import Machine
from bailiwick.resources.disputes import documents, outcome, stored
from bailiwick.resources.disputes.params import (
    EVIDENCE_CHARS_MAX,
    CloseDispute,
    UpdateDispute,
)
from bailiwick.resources.disputes.rows import Dispute
from bailiwick.resources.disputes.states import ANSWERABLE, CONCEDED, State
from bailiwick.resources.payments.kind import KIND
from bailiwick.resources.payments.methods.params import plain
from bailiwick.resources.payments.outcomes import Step
from bailiwick.resources.payments.rows import Payment
from bailiwick.serving.params import merged

_replace = msgspec.structs.replace


class Disputes:
    """What a client can ask about disputes."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._store = machine.store

    async def update(
        self, asked: IdempotentRequest, identifier: str, request: UpdateDispute
    ) -> Answer:
        """Note evidence and metadata; send the evidence to the provider unless told not to."""
        owner = await self._owner(asked, identifier)

        async def decide(payment: Payment) -> Step:
            row = await self._fresh(identifier)
            details = _replace(
                row.details,
                metadata=merged(row.details.metadata, request.metadata),
                evidence=gathered(row, plain(request.evidence)),
            )
            changed = _replace(row, details=details)
            given = request.evidence is not None
            if given or request.submit:
                await documents.require(self._store, asked, row.id, details.evidence)
            if not (given if request.submit is None else request.submit):
                if given:
                    refuse_closed(row, ANSWERABLE)
                return outcome.step(payment, changed, now_ms(), "updated")
            refuse_closed(row, ANSWERABLE)
            if not details.evidence:
                raise ApiError.invalid(
                    "There is no evidence to submit.", param="evidence", code="parameter_missing"
                )
            return self._ask(asked, payment, changed, Operation.EVIDENCE)

        return await self._machine.command.change(asked, KIND, owner, decide)

    async def close(
        self, asked: IdempotentRequest, identifier: str, request: CloseDispute
    ) -> Answer:
        """Accept a dispute as lost: for ever."""
        owner = await self._owner(asked, identifier)

        async def decide(payment: Payment) -> Step:
            row = await self._fresh(identifier)
            refuse_closed(row, CONCEDED)
            return self._ask(asked, payment, row, Operation.CONCEDE)

        return await self._machine.command.change(asked, KIND, owner, decide)

    async def _owner(self, asked: IdempotentRequest, identifier: str) -> str:
        row = own(await stored.find(self._store, identifier), asked, "dispute", identifier)
        return row.payment

    async def _fresh(self, identifier: str) -> Dispute:
        row = await stored.find(self._store, identifier)
        assert row is not None, "disputes are never deleted"
        return row

    def _ask(
        self,
        asked: IdempotentRequest,
        payment: Payment,
        row: Dispute,
        operation: Operation,
    ) -> Step:
        """The step that permits an operation on a dispute. Raises ApiError (400)."""
        profile = self._machine.gateways.profile_of(row.gateway)
        if profile is None or operation not in profile.resolve:
            title = row.gateway if profile is None else profile.title
            raise ApiError.invalid(
                f"{title} cannot be asked this over its API here: use the provider's own dashboard."
            )
        evidence = row.details.evidence if operation is Operation.EVIDENCE else {}
        files = {field: Document(each) for field, each in documents.named(evidence).items()}
        if files and not profile.evidence_files:
            raise ApiError.invalid(
                f"{profile.title} takes no files over its API here: say it in a text.",
                param=f"evidence[{min(files)}]",
                code="parameter_unsupported",
            )
        instruction = Instruction(
            operation=operation,
            reference="",
            amount=row.amount,
            currency=row.currency,
            provider_ref=row.provider_ref,
            charge_reference=row.charge,
            payment=payment.id,
            evidence=documents.texts(evidence),
            files=files,
        )
        new = self._machine.rows.attempt_new(
            payment, instruction, row.gateway, asked.key, acts_on=row.id
        )
        made = outcome.step(payment, _replace(row, open_attempt=new.id), now_ms(), "updated")
        after = _replace(made.after, attempts=new.number)
        return _replace(made, after=after, attempt_new=new, definite=False)


def refuse_closed(row: Dispute, able: dict[State, State]) -> None:
    """Refuse what a dispute's state does not allow. Raises ApiError (400)."""
    if row.open_attempt is not None:
        raise ApiError.invalid(
            "The provider is being asked about this dispute: retrieve it until that has ended."
        )
    if row.state not in able:
        states = " or ".join(each.value for each in able)
        raise ApiError.invalid(
            f"This dispute has a status of {row.state.value}: that needs one of {states}.",
            code="dispute_unexpected_state",
        )


def gathered(row: Dispute, given: dict[str, str | None] | None) -> dict[str, str]:
    """All evidence after a request: an empty text removes a field.

    Raises:
        ApiError: 400, it would be too long.
    """
    both = {**row.details.evidence, **(given or {})}
    found = {name: said for name, said in both.items() if said}
    if sum(map(len, found.values())) > EVIDENCE_CHARS_MAX:
        raise ApiError.invalid(
            f"Evidence has at most {EVIDENCE_CHARS_MAX} characters in all.", param="evidence"
        )
    return found
