"""What holds for every test run.

Property tests say what holds, not how long a machine may take to try an example.
"""

import signal

from hypothesis import HealthCheck, settings

from tests import campaign

# A shell that starts this run behind itself has it ignore interrupts, and so would the programs
# that tests start and then interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

assert campaign.DAY  # read here first: the workers get it from this process

settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
