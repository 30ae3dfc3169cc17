"""Channels are judged on a node with a real database, too: what the tests of nodes have for it."""

from tests.postgres.conftest import dsn, server_dsn, sql, store

__all__ = ["dsn", "server_dsn", "sql", "store"]
