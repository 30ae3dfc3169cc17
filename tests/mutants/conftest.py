"""The mutants' runs share one PostgreSQL server."""

from tests.postgres.conftest import server_dsn

__all__ = ["server_dsn"]
