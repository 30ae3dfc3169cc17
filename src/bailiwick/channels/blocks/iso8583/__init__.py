"""What channels to banks over ISO 8583 are built of. Pure.

A channel declares a ``Dialect`` and is a ``Bank`` of it; ``channels.transports.iso8583`` keeps the
connections.
"""
