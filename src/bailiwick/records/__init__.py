"""Records: what is kept for a merchant, and no provider is asked about.

A record is one guarded row with a version, an event for each version, and the key of whoever asked
for it, all written in one transaction. What it says of a person can be erased: events keep nothing
of it themselves.
"""
