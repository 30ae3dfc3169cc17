"""Storage: PostgreSQL only, group commit, SQL in named files."""
