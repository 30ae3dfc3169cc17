"""Property tests say what holds, not how long a machine may take to try an example."""

from hypothesis import HealthCheck, settings

from tests import campaign

assert campaign.DAY  # read here first: the workers get it from this process

settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
