"""A bank over ISO 8583:1987 that writes in ASCII: digits and texts as characters, the bitmap as
bytes, a length of two bytes before each message. Reversals are requests (0400, repeated as 0401).
"""

from bailiwick.channels.blocks.iso8583.bank import MAC_KEY, RESOLVE, Bank
from bailiwick.channels.blocks.iso8583.dialect import Dialect, Mac
from bailiwick.channels.contract import Profile

DIALECT = Dialect(
    reversal="0400",
    token=48,
    reference=126,
    original=127,
    constant={22: "812", 25: "59"},  # credential on file; electronic commerce
    options={"acquirer": 32, "terminal": 41, "merchant": 42},
    mac=Mac("aes-cmac", required=False),
)

PROFILE = Profile(
    name="bank_ascii",
    title="The bank",
    resolve=RESOLVE,
    visibility_ms=10_000,
    replay_ms=30 * 24 * 3_600_000,
    reversal=True,
    transport="iso8583",
    wire=DIALECT,
    contexts=True,
    secrets=(),
    options=("acquirer", "terminal", "merchant"),
    secret_headers=(MAC_KEY,),
    first_byte_ms=15_000,
    total_ms=20_000,
)

CHANNEL = Bank(PROFILE)
