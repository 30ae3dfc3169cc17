"""The product's fault proxy, by the name that tests know."""

from bailiwick.drill.proxy import KINDS, FaultProxy, Stream, Toxic

__all__ = ["KINDS", "FaultProxy", "Stream", "Toxic"]
