"""What may be done with a payout that exists: its metadata changed, itself canceled."""

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Instruction, Operation
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.orders import attempt_store
from bailiwick.orders.machine import Machine
from bailiwick.orders.transition import Transition
from bailiwick.resources.payouts.kind import KIND
from bailiwick.resources.payouts.outcome import Step, moved
from bailiwick.resources.payouts.params import CancelPayout, UpdatePayout
from bailiwick.resources.payouts.rows import Payout, sending
from bailiwick.resources.payouts.states import Change
from bailiwick.serving.params import merged

_replace = msgspec.structs.replace


class Payouts:
    """What a client can ask of a payout."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def update(
        self, asked: IdempotentRequest, identifier: str, request: UpdatePayout
    ) -> Answer:
        """Change the metadata."""

        async def decide(payout: Payout) -> Step:
            metadata = merged(payout.progress.metadata, request.metadata)
            progress = _replace(payout.progress, metadata=metadata)
            after = moved(payout, Change.EDIT, now_ms(), progress=progress)
            return Transition(before=payout, after=after, event="payout.updated", definite=True)

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def cancel(
        self, asked: IdempotentRequest, identifier: str, request: CancelPayout
    ) -> Answer:
        """Ask the provider to cancel it: while it is pending there, and that is known."""

        async def decide(payout: Payout) -> Step:
            now = now_ms()
            moved(payout, Change.RECALL, now)  # raises with the remedy
            sender = await attempt_store.find(self._machine.store, sending(payout.id))
            assert sender is not None, "a payout begins with the attempt that sends it"
            if payout.open_attempt != sender.id:
                raise ApiError.invalid("This payout is being canceled: retrieve it.")
            if sender.state != "pending" or sender.provider_ref is None:
                raise ApiError.invalid(
                    "It is not known yet whether the provider has this payout. Retrieve it until "
                    "that is known, then cancel it.",
                    code="payout_unexpected_state",
                )
            profile = self._machine.gateways.profile_of(payout.gateway)
            if profile is None or Operation.PAYOUT_CANCEL not in profile.resolve:
                raise ApiError.invalid(
                    "The provider of this payout cannot cancel one over its API: use its dashboard."
                )
            instruction = Instruction(
                operation=Operation.PAYOUT_CANCEL,
                reference="",
                amount=payout.amount,
                currency=payout.currency,
                provider_ref=sender.provider_ref,
                charge_reference=sender.id,
            )
            new = self._machine.rows.attempt_new(payout, instruction, payout.gateway, asked.key)
            after = moved(payout, Change.RECALL, now, attempts=new.number, open_attempt=new.id)
            return Transition(before=payout, after=after, event="payout.updated", attempt_new=new)

        return await self._machine.command.change(asked, KIND, identifier, decide)
