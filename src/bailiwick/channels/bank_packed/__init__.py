"""A bank over ISO 8583:1987 that packs: two digits a byte, texts in EBCDIC, a length in BCD before
a transport address. Reversals are advices (0420, repeated as 0421), and each message that is about
money has a retail MAC.
"""

from bailiwick.channels.blocks.iso8583.bank import MAC_KEY, RESOLVE, Bank
from bailiwick.channels.blocks.iso8583.dialect import Dialect, Framing, Mac
from bailiwick.channels.contract import Profile

DIALECT = Dialect(
    framing=Framing(coding="bcd", tpdu="6000030000"),
    digits="bcd",
    text="cp500",
    lengths="bcd",
    token=125,
    reference=126,
    original=127,
    constant={22: "812", 25: "59"},  # credential on file; electronic commerce
    options={"acquirer": 32, "terminal": 41, "merchant": 42},
    mac=Mac("x9.19"),
)

PROFILE = Profile(
    name="bank_packed",
    title="The bank",
    resolve=RESOLVE,
    visibility_ms=10_000,
    replay_ms=30 * 24 * 3_600_000,
    reversal=True,
    transport="iso8583",
    wire=DIALECT,
    contexts=True,
    secrets=("mac_key",),
    options=("acquirer", "terminal", "merchant"),
    secret_headers=(MAC_KEY,),
    first_byte_ms=15_000,
    total_ms=20_000,
)

CHANNEL = Bank(PROFILE)
