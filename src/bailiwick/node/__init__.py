"""A transaction node: payments of its places, in its own database, over its own gateways."""
