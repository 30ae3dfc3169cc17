"""A channel under test, and how a check says that it failed."""

from dataclasses import dataclass

from bailiwick.channels.contract import Channel, Instruction, Operation, Profile
from bailiwick_lab.channel_suite.cases import Answer, Cases


class Failed(Exception):
    """A channel does not do what every channel must; the message says what was seen."""


@dataclass(frozen=True)
class Subject:
    """A channel with its cases."""

    channel: Channel
    cases: Cases

    @property
    def profile(self) -> Profile:
        return self.channel.profile

    def instruction(self, operation: Operation) -> Instruction:
        """The first of the cases' instructions of an operation."""
        named = self.cases.instructions.values()
        found = next((each for each in named if each.operation is operation), None)
        require(found is not None, f"no instruction of the cases is a {operation}")
        assert found is not None
        return found

    def answers_to(self, operation: Operation) -> list[Answer]:
        return [each for each in self.cases.answers if each.instruction.operation is operation]


def require(holds: bool, message: str) -> None:
    """Go on only if that holds.

    Raises:
        Failed: it does not.
    """
    if not holds:
        raise Failed(message)
