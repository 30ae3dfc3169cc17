"""What asyncpg raises when a database cannot be asked."""

import asyncpg

DATABASE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # A connection that was ended between two messages of one question; derived from nothing above.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Refused, lost, in time no answer: the question was not answered, and may be asked again."""
