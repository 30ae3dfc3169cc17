"""The contract between the node and a channel: pure data and pure functions.

A channel turns an ``Instruction`` into a ``Request`` and a ``Reply`` into a ``Result``; it never
touches a socket, a clock or a database. The transport (``channels.transports.http``) turns a
request into an ``Exchange`` and says exactly how far it got. What an answer *means* for money is
one of four outcomes, never a boolean; a channel that cannot tell says ``unknown``.
"""

from bailiwick.channels.contract.actions import (
    Act,
    Action,
    redirect,
)
from bailiwick.channels.contract.callbacks import (
    Acknowledgement,
    AnswerScheme,
    CallbackEvent,
    CallbackRefused,
    CallbackScheme,
    Notice,
)
from bailiwick.channels.contract.channel import (
    Channel,
)
from bailiwick.channels.contract.dispute_notice import (
    DisputeNotice,
)
from bailiwick.channels.contract.documents import (
    Document,
)
from bailiwick.channels.contract.messages import (
    INVALID_REQUEST,
    REFERENCE,
    Account,
    Context,
    Exchange,
    Instruction,
    NotPrepared,
    Permit,
    Reply,
    Request,
)
from bailiwick.channels.contract.operations import (
    ON_CHARGES,
    Operation,
    Outcome,
    Phase,
    Resolve,
)
from bailiwick.channels.contract.payers import (
    Address,
    Payer,
    Takes,
)
from bailiwick.channels.contract.preparations import (
    BadSecret,
    Prepared,
    Prepares,
    Refused,
)
from bailiwick.channels.contract.profile import (
    Profile,
)
from bailiwick.channels.contract.reading import (
    agreed,
    of_same,
    read,
)
from bailiwick.channels.contract.results import (
    NO_SUCH_METHOD,
    PAYOUT_CANCELED,
    TURNED_AWAY,
    CannotExpress,
    NotBuilt,
    Result,
    no_such_method,
    unknown,
)
from bailiwick.methods.families import BY_ITSELF, Family

__all__ = [
    "BY_ITSELF",
    "INVALID_REQUEST",
    "NO_SUCH_METHOD",
    "ON_CHARGES",
    "PAYOUT_CANCELED",
    "REFERENCE",
    "TURNED_AWAY",
    "Account",
    "Acknowledgement",
    "Act",
    "Action",
    "Address",
    "AnswerScheme",
    "BadSecret",
    "CallbackEvent",
    "CallbackRefused",
    "CallbackScheme",
    "CannotExpress",
    "Channel",
    "Context",
    "DisputeNotice",
    "Document",
    "Exchange",
    "Family",
    "Instruction",
    "NotBuilt",
    "NotPrepared",
    "Notice",
    "Operation",
    "Outcome",
    "Payer",
    "Permit",
    "Phase",
    "Prepared",
    "Prepares",
    "Profile",
    "Refused",
    "Reply",
    "Request",
    "Resolve",
    "Result",
    "Takes",
    "agreed",
    "no_such_method",
    "of_same",
    "read",
    "redirect",
    "unknown",
]
