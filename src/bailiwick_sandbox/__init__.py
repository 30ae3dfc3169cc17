"""A bank in a box: several payment providers with their own books, for tests and demonstrations.

It shares no code with the backend that it serves. Its books are an independent record of what was
charged, so that they can be held against the backend's own.
"""
