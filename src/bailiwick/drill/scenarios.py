"""The drill's faults by name, in the order in which they are run."""

from __future__ import annotations

from typing import Final

from bailiwick.drill.failover import NodeAdopted, NodeEvacuated
from bailiwick.drill.fleet_changes import NodeDrained, NodeJoined
from bailiwick.drill.links import PartitionBoth, PartitionToAccess, PartitionToNode
from bailiwick.drill.processes import FREEZE_POINTS, AccessKilled, NodeKilled, frozen
from bailiwick.drill.scenario import Scenario
from bailiwick.drill.several import SeveralAtOnce
from bailiwick.drill.stores import (
    BrokerDown,
    BrokersDown,
    BrokersWiped,
    DatabaseCrashed,
    StandbyPromoted,
)
from bailiwick.drill.worlds import PlaceMoved

__all__ = ["ALL", "SCENARIOS", "Scenario"]

ALL: Final[tuple[type[Scenario], ...]] = (
    NodeKilled,
    *(frozen(point, kind) for point, kind in FREEZE_POINTS.items()),
    AccessKilled,
    PartitionBoth,
    PartitionToNode,
    PartitionToAccess,
    BrokerDown,
    BrokersDown,
    BrokersWiped,
    DatabaseCrashed,
    StandbyPromoted,
    SeveralAtOnce,
    PlaceMoved,
    NodeDrained,
    NodeAdopted,
    NodeEvacuated,
    NodeJoined,
)
SCENARIOS: Final[dict[str, type[Scenario]]] = {each.name: each for each in ALL}
