"""Test data of a merchant deleted: all that its test mode has at a node, and nothing of live mode.

An operator asks for it (``bailiwick test-data delete``). Orders go a few at a time, each whole with
all that is kept of it, in transactions so short that nobody's payments wait for them; whoever is
killed between two repeats the command.
"""
