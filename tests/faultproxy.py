"""The product's fault proxy, by the name that tests know."""

from bailiwick_lab.drill.hosts.proxy import KINDS, FaultProxy, Stream, Toxic

__all__ = ["KINDS", "FaultProxy", "Stream", "Toxic"]
