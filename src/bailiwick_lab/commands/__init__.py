"""The laboratory's commands."""

TITLE = "Try it out, measure it, break it"
COMMANDS: dict[str, str] = {
    "demo": "Run the whole system on this machine: nodes, access, a sandbox of providers.",
    "drill": "Break the system on purpose, on many hosts, and check that money stays exact.",
    "bench": "Measure payments per second and latency.",
    "sandbox": "Run the sandbox: payment providers to test against.",
    "channel": "List the channels to providers, check one, begin a new one.",
    "certificates": "Make a private authority and certificates, for trying out TLS.",
}
"""Command -> its line in the overview; the code is ``command`` in the module of that name."""
