"""The laboratory: what runs, loads, breaks and measures the whole system on one machine.

A package of its own, because nothing that runs in production needs it: it knows ``bailiwick``, and
``bailiwick`` finds its commands by their entry point alone.
"""
