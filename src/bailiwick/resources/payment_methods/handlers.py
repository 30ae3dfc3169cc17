"""What is written of payment methods beside orders of other kinds."""

PARTS = {"pi": ("methods_saved",)}
"""Parts of ``move.sql``, by the prefix of an order's ids."""
