"""What an operator does with nodes: drain, fence, adopt, evacuate, return, join, remove, look.

Each operation is a plan (`plans`): first told in words, then carried out step by step. Every step
looks whether it is done already, so that a plan that was cut off is simply made and run again.
The system proposes; a person decides.
"""
