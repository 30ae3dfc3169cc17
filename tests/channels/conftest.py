"""Channels are also judged on a node with a real database: what the tests of nodes have for that."""

from tests.postgres.conftest import dsn, server_dsn, sql, store

__all__ = ["dsn", "server_dsn", "sql", "store"]
