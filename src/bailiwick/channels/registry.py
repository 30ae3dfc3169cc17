"""The channels of this build, by the name that a gateway's configuration gives."""

from bailiwick.channels.base import Channel
from bailiwick.channels.sandbox import SandboxChannel
from bailiwick.channels.stripe import StripeChannel

CHANNELS: dict[str, Channel] = {
    channel.profile.name: channel for channel in (SandboxChannel(), StripeChannel())
}


def channel(name: str) -> Channel:
    """The channel of this name.

    Raises:
        LookupError: unknown name; the message lists the known ones.
    """
    found = CHANNELS.get(name)
    if found is None:
        known = ", ".join(sorted(CHANNELS))
        raise LookupError(f"unknown channel {name[:64]!r}: use one of {known}")
    return found
