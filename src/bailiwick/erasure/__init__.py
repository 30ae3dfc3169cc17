"""Erasure: what is personal of a payer goes out of all that a node keeps; what is money stays.

An operator asks for it (``bailiwick erase``). One thing after the other, each in a transaction of
its own with the event that tells of it and a row of ``erasure``: whoever is killed between two
repeats the command.
"""
