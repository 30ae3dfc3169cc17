"""Random lives of a payment: answers in any order, repeated, late, contradictory.

The model is the node without its wires: rows in memory, the deciding functions in between. An
auditor of its own keeps count of what each answer said and holds the rows against that.
"""

from collections import defaultdict

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bailiwick.channels.contract import Outcome, Result
from bailiwick.orders import attempts
from bailiwick.orders.attempts import Attempt, AttemptNew
from bailiwick.orders.transition import Transition
from bailiwick.resources.payments import outcomes as decide
from bailiwick.resources.payments import states
from bailiwick.resources.payments.holds import increments, voids
from bailiwick.resources.payments.methods import giving_up
from bailiwick.resources.payments.outcomes import Step
from bailiwick.resources.payments.states import Change, State
from bailiwick.resources.refunds import outcome
from bailiwick.resources.refunds.rows import Refund
from tests.unit import payment_kit as kit

AMOUNT = 1000
outcomes = st.sampled_from(["approve", "decline", "retryable", "unsent", "pending", "act",
                            "unknown", "mismatch", "held"])  # fmt: skip


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.payment = kit.payment(
            state="requires_confirmation", attempts=0, open_attempt=None, charge_attempt=None
        )
        self.attempts: dict[str, Attempt] = {}
        self.refunds: dict[str, Refund] = {}
        self.balances: dict[str, int] = defaultdict(int)
        self.versions = [1]
        self.reviews: set[tuple[str, str]] = set()
        self.approvals: dict[str, int] = defaultdict(int)

    # What the store does with a step

    def write(self, step: Step | None) -> None:
        if step is None:
            return
        assert step.before == self.payment
        self.payment = step.after
        self.versions.append(step.after.version)
        for end in step.attempt_ends or []:
            row = self.attempts[end.id]
            assert row.state in attempts.OPEN or end.state == "late" or row.operation == "refund"
            if end.state == "approved":
                self.approvals[end.id] += 1
            self.attempts[end.id] = kit.ended(step, row)
        if step.attempt_new is not None:
            self.begin(step.attempt_new)
        refunded = kit.refund_end(step)
        if refunded is not None:
            row_of = self.refunds[refunded.id]
            self.refunds[row_of.id] = kit.replace(row_of, state=refunded.state)
        for posting in step.postings or []:
            assert posting.amount > 0
            self.balances[posting.debit] += posting.amount
            self.balances[posting.credit] -= posting.amount
        if step.review is not None:
            self.reviews.add((step.review.attempt, step.review.reason))

    def begin(self, new: AttemptNew) -> None:
        assert not self.outstanding() or new.acts_on is not None or new.operation == "void"
        self.attempts[new.id] = kit.attempt(
            id=new.id,
            number=new.number,
            operation=new.operation,
            amount=new.amount,
            acts_on=new.acts_on,
            key=None,
        )

    def outstanding(self) -> list[Attempt]:
        return [
            row
            for row in self.attempts.values()
            if row.state in attempts.OPEN and row.operation != "refund"
        ]

    def new(self, operation: str, amount: int, refund: str | None = None) -> AttemptNew:
        number = self.payment.attempts + 1
        return AttemptNew(f"at_{number}", number, operation, f"g{number}", amount, 1, {}, refund)

    def first(self, change: Change, operation: str, amount: int) -> None:
        new = self.new(operation, amount)
        values = {"attempts": new.number, "open_attempt": new.id}
        if operation == "charge":
            values["charge_attempt"] = new.id
        after = decide.moved(self.payment, change, kit.NOW, **values)
        step = Transition(before=self.payment, after=after, event="x")
        self.payment = after
        self.versions.append(after.version)
        self.attempts[new.id] = kit.attempt(
            id=new.id, number=new.number, operation=operation, amount=amount, key=None
        )
        assert step.after.version == step.before.version + 1

    # What clients do

    @precondition(lambda self: states.allows(self.payment.state, Change.CONFIRM))
    @rule(no_action=st.booleans())
    def confirm(self, no_action: bool) -> None:
        progress = kit.replace(self.payment.progress, no_action=no_action)
        self.payment = kit.replace(self.payment, progress=progress)
        self.first(Change.CONFIRM, "charge", AMOUNT)

    @precondition(lambda self: self.payment.state == State.REQUIRES_CAPTURE)
    @rule(more=st.integers(1, AMOUNT))
    def increment(self, more: int) -> None:
        self.first(Change.INCREMENT, "increment", self.payment.amount_capturable + more)

    @precondition(lambda self: self.payment.state == State.REQUIRES_CAPTURE)
    @rule(part=st.integers(1, AMOUNT))
    def capture(self, part: int) -> None:
        self.first(Change.CAPTURE, "capture", min(part, self.payment.amount_capturable))

    @precondition(lambda self: states.allows(self.payment.state, Change.VOID))
    @rule()
    def void(self) -> None:
        self.first(Change.VOID, "void", self.payment.amount_capturable or AMOUNT)

    @precondition(
        lambda self: (
            states.allows(self.payment.state, Change.CANCEL) and self.payment.open_attempt is None
        )
    )
    @rule()
    def cancel(self) -> None:
        after = decide.moved(self.payment, Change.CANCEL, kit.NOW)
        self.write(Transition(before=self.payment, after=after, event="x"))

    @precondition(lambda self: self.payment.state == State.REQUIRES_ACTION)
    @rule()
    def cancel_before_our_own_step(self) -> None:
        """Of a channel that takes nothing before that; what its provider says later must fit."""
        charge = self.attempts[self.payment.open_attempt or ""]
        self.write(giving_up.canceled(self.payment, charge, self.payment.progress, kit.NOW))

    @rule()
    def edit(self) -> None:
        after = decide.moved(self.payment, Change.EDIT, kit.NOW)
        self.write(Transition(before=self.payment, after=after, event="x"))

    @precondition(lambda self: self.free() > 0)
    @rule(part=st.integers(1, AMOUNT))
    def refund(self, part: int) -> None:
        amount = min(part, self.free())
        new = self.new("refund", amount, f"re_{self.payment.attempts + 1}")
        refunding = self.payment.amount_refunding + amount
        after = decide.moved(
            self.payment, Change.REFUND, kit.NOW, amount_refunding=refunding, attempts=new.number
        )
        assert new.acts_on is not None
        self.refunds[new.acts_on] = kit.refund(id=new.acts_on, amount=amount, attempt=new.id)
        self.write(Transition(before=self.payment, after=after, event="x", attempt_new=new))

    def free(self) -> int:
        row = self.payment
        if row.state != State.SUCCEEDED:
            return 0
        return row.amount_received - row.amount_refunding - row.amount_refunded

    # What providers say, about any attempt at any time

    @precondition(lambda self: bool(self.attempts))
    @rule(which=st.integers(0, 10**6), said=outcomes, times=st.integers(1, 3))
    def answer(self, which: int, said: str, times: int) -> None:
        row = list(self.attempts.values())[which % len(self.attempts)]
        for _ in range(times):
            self.settle(self.attempts[row.id], self.result(row, said), said)

    @precondition(lambda self: bool(self.outstanding()))
    @rule(said=outcomes)
    def answer_the_open_one(self, said: str) -> None:
        row = self.outstanding()[-1]
        self.settle(row, self.result(row, said), said)

    def result(self, row: Attempt, said: str) -> Result:
        plain = {
            "decline": kit.declined(),
            "retryable": kit.declined(retryable=True),
            "unsent": kit.declined(detail="unsent", retryable=True),
            "pending": kit.pending(),
            "act": kit.pending("https://bank/act"),
            "unknown": kit.unknown(),
            "mismatch": kit.unknown("amount_mismatch"),
            "held": kit.approved(row.amount, captured=False),
            "approve": kit.approved(row.amount),
        }
        if row.operation != "charge" and said == "held":
            said = "approve"
        if row.operation != "charge" and said == "act":
            said = "pending"
        return plain[said]

    def settle(self, row: Attempt, result: Result, said: str) -> None:
        payment, now = self.payment, kit.NOW
        if row.operation == "increment":
            self.write(increments.increment(payment, row, result, now, kit.LOOK))
        elif row.operation == "capture":
            self.write(decide.capture(payment, row, result, now, kit.LOOK))
        elif row.operation == "void":
            charged = self.attempts[payment.charge_attempt or ""]
            self.write(voids.void(payment, row, charged, result, now, kit.LOOK))
        elif row.operation == "refund":
            of = self.refunds[row.acts_on or ""]
            self.write(outcome.refund(payment, row, of, result, now, kit.LOOK))
        elif self.may_cascade(row, said):
            new = self.new("charge", AMOUNT)
            self.write(decide.next_attempt(payment, row, result, new, payment.progress, now))
        elif self.must_not_act(row, said):
            new = self.new("void", row.amount)
            self.write(voids.forgo(payment, row, result, new, now, kit.LOOK))
        else:
            self.write(decide.charge(payment, row, result, now, kit.LOOK))

    def must_not_act(self, row: Attempt, said: str) -> bool:
        mine = row.state in attempts.OPEN and self.payment.open_attempt == row.id
        wanted = self.payment.progress.no_action and said == "act"
        return mine and wanted and self.payment.state == State.PROCESSING

    def may_cascade(self, row: Attempt, said: str) -> bool:
        mine = row.state in attempts.OPEN and self.payment.open_attempt == row.id
        return mine and said in ("retryable", "unsent") and row.number < 3

    # What must hold always

    @invariant()
    def amounts_stay_within_bounds(self) -> None:
        row = self.payment
        assert 0 <= row.amount_capturable <= row.amount
        assert 0 <= row.amount_received <= row.amount
        assert row.amount_refunding >= 0 and row.amount_refunded >= 0
        assert row.amount_refunding + row.amount_refunded <= row.amount_received

    @invariant()
    def postings_balance_with_the_columns(self) -> None:
        row = self.payment
        assert sum(self.balances.values()) == 0
        assert -self.balances["merchant:acct_1"] == row.amount_received - row.amount_refunded

    @invariant()
    def what_is_forgone_is_being_voided(self) -> None:
        assert not self.payment.progress.forgoing or self.payment.state == State.VOIDING

    @invariant()
    def what_is_held_was_granted(self) -> None:
        granted = [
            row.amount
            for row in self.attempts.values()
            if row.state == "approved" and row.operation in ("charge", "increment")
        ]
        if self.payment.state in (State.REQUIRES_CAPTURE, State.INCREMENTING, State.CAPTURING):
            assert self.payment.amount_capturable == self.payment.amount == granted[-1]
            assert granted == sorted(granted)

    @invariant()
    def versions_have_no_gap(self) -> None:
        assert self.versions == list(range(1, len(self.versions) + 1))
        assert self.payment.version == self.versions[-1]

    @invariant()
    def at_most_one_success(self) -> None:
        taken = [
            row.id
            for row in self.attempts.values()
            if row.state == "approved" and row.operation == "capture"
        ]
        charged = [
            row.id
            for row in self.attempts.values()
            if row.state == "approved" and row.operation == "charge"
        ]
        assert len(taken) <= 1 and len(charged) <= 1
        assert all(count == 1 for count in self.approvals.values())
        if self.payment.state == State.SUCCEEDED:
            assert charged == [self.payment.charge_attempt]

    @invariant()
    def one_operation_at_a_time(self) -> None:
        open_now = {row.id for row in self.outstanding()}
        if self.payment.open_attempt is None:
            assert not open_now
        else:
            assert self.payment.open_attempt in open_now
            others = open_now - {self.payment.open_attempt}
            assert not others or self.payment.state == State.VOIDING

    @invariant()
    def refunds_and_reservations_agree(self) -> None:
        by_state: dict[str, int] = defaultdict(int)
        for row in self.refunds.values():
            by_state[row.state] += row.amount
        assert by_state["pending"] == self.payment.amount_refunding
        assert by_state["succeeded"] == self.payment.amount_refunded

    @invariant()
    def a_late_success_is_before_a_person(self) -> None:
        for row in self.attempts.values():
            if row.state == "late":
                assert any(attempt == row.id for attempt, _ in self.reviews)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def test_the_model_uses_the_real_outcomes() -> None:
    assert {each.value for each in Outcome} == {"approved", "declined", "pending", "unknown"}
    assert msgspec.structs.asdict(kit.approved())["amount"] == AMOUNT
