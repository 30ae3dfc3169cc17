"""The checker: every money invariant, read independently over all nodes and providers' books.

It comes by HTTP and DSN only, and shares no code with what it checks: its SQL, its knowledge of
transitions and its reading of the books are its own.
"""
