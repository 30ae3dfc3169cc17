"""Records of payers: placed as payments are, and where their place is strict, shown in its region
only."""

from collections.abc import Iterable, Set
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import Owner
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.interlink.regional import wrong_region
from bailiwick.jurisdiction.assign import Assignment
from bailiwick.jurisdiction.locate import Location
from bailiwick.records import records
from bailiwick.records.record import Record, stays
from bailiwick.records.records import Records
from bailiwick.serving.context import NodeContext
from bailiwick.store.database import Store


def records_of(node: NodeContext) -> Records:
    """A node's records."""
    return Records(node.number, node.store, node.endpoints, node.machine.keys)


def found_at(location: Location, assignment: Assignment) -> tuple[dict[str, Any], list[int] | None]:
    """What is kept of where a record was placed: for its details, and in which nodes' regions alone
    it may be shown."""
    allowed = [each for each in assignment.considered if each.verdict != "not_allowed"]
    name = next((each.name for each in allowed if each.node == assignment.node), None)
    where = {
        "country": location.country,
        "subdivision": location.subdivision,
        "source": location.source,
    }
    strict = assignment.residency == "strict"
    return {"location": where, "node": name}, [each.node for each in allowed] if strict else None


async def known(node: NodeContext, asked: IdempotentRequest, otherwise: ApiError) -> Answer:
    """What a key was told here before the place was another node's; raises ``otherwise``."""
    replayed = await node.machine.keys.replay(asked)
    if replayed is None:
        raise otherwise
    return replayed


def keep(node: NodeContext, region: int, rows: Iterable[Record]) -> None:
    """Raises ApiError (421) if one of these records must not be shown in the region of node
    ``region``; 0: it is shown in none."""
    if region and any(stays(row, region) for row in rows):
        raise elsewhere(node)


async def seen(
    store: Store, who: Owner, region: int, prefix: str, identifiers: Set[str]
) -> list[Record]:
    """Records by their ids: those of this kind that are theirs and may be shown in this region."""
    wanted = {each for each in identifiers if each.startswith(f"{prefix}_")}
    found = await records.find_all(store, wanted)
    return [
        row
        for row in found.values()
        if row.merchant == who.merchant.id
        and row.livemode == who.livemode
        and not stays(row, region)
    ]


async def keep_all(node: NodeContext, region: int, identifiers: set[str]) -> None:
    """The same of records by their ids; ids of something else are passed over."""
    wanted = [each for each in identifiers if not each.startswith("pi_")] if region else []
    if not wanted:
        return
    found = await node.store.rows("record_residency", wanted)
    if any(region not in row["stays_with"] for row in found):
        raise elsewhere(node)


def elsewhere(node: NodeContext) -> ApiError:
    """The answer to who reads, from the wrong region, what must stay."""
    here = node.world.topology.by_number.get(node.number)
    return wrong_region("Some of these customers are read", "" if here is None else here.url)
