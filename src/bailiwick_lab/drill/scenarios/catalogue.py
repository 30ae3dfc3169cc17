"""The drill's faults by name, in the order in which they are run."""

from __future__ import annotations

from typing import Final

from bailiwick_lab.drill.hosts.processes import FREEZE_POINTS, AccessKilled, NodeKilled, frozen
from bailiwick_lab.drill.scenario import Scenario
from bailiwick_lab.drill.scenarios.failover import NodeAdopted, NodeEvacuated
from bailiwick_lab.drill.scenarios.fleet_changes import NodeDrained, NodeJoined
from bailiwick_lab.drill.scenarios.links import PartitionBoth, PartitionToAccess, PartitionToNode
from bailiwick_lab.drill.scenarios.several import SeveralAtOnce
from bailiwick_lab.drill.scenarios.stores import (
    BrokerDown,
    BrokersDown,
    BrokersWiped,
    DatabaseCrashed,
    StandbyPromoted,
)
from bailiwick_lab.drill.scenarios.worlds import PlaceMoved

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
