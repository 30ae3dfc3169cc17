"""What a provider's words mean and where its answers have them, declared in ``codes.toml``."""

from bailiwick.channels.blocks.tables.fields import Seen, Shape, named, only
from bailiwick.channels.blocks.tables.tables import Tables

__all__ = ["Seen", "Shape", "Tables", "named", "only"]
