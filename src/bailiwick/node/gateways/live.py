"""Gateways as live data: what the settings file says, and over it what operators have said since.

The table is the truth. An order is checked, prepared, committed, and only then in force: where the
process ends in between, the next start finds either all of it or nothing. What another process of
this node has written is found within a second.
"""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import structlog

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Account
from bailiwick.channels.registry import channel
from bailiwick.channels.transports.secured import Secured
from bailiwick.node.gateways import orders, rows
from bailiwick.node.gateways.checked import account, unknown_secrets, vault_problems
from bailiwick.node.gateways.envelope import NodeKeys, Sealed, WrongKey, rewrap, seal, unseal
from bailiwick.node.gateways.orders import Order
from bailiwick.node.gateways.rows import GatewayRow
from bailiwick.node.secured import secured
from bailiwick.routing.gateway import Gateway
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.settings import GatewaySettings
from bailiwick.runtime.crash import crash_point
from bailiwick.runtime.settings import SettingsError, convert
from bailiwick.runtime.tls import Outgoing
from bailiwick.store.database import Store

LOOK_S = 1.0
PREPARE_S = 30.0
BY_MAX = 200

log = structlog.get_logger()


class Made(msgspec.Struct, frozen=True):
    """What a gateway is made of."""

    settings: GatewaySettings
    account: Account
    secured: Secured


class LiveGateways:
    """The node's gateways, and the orders of its operators.

    Args:
        node: the node's number.
        declared: the gateways of the settings file.
        folder: what relative paths in settings count from.
        keys: what opens and seals credentials.
    """

    def __init__(
        self,
        node: int,
        declared: dict[str, Made],
        folder: Path,
        keys: NodeKeys,
        store: Store,
        gateways: Gateways,
    ) -> None:
        self._node = node
        self._declared = declared
        self._folder = folder
        self.keys = keys
        self._store = store
        self._gateways = gateways
        self._made = dict(declared)
        self._rows: dict[str, GatewayRow] = {}
        self._changing = asyncio.Lock()

    # --- what there is

    def row(self, name: str) -> GatewayRow:
        """What was said of a gateway. Raises ApiError (404)."""
        if name not in self._made:
            raise ApiError.missing("gateway", name, param="gateway")
        return self._rows.get(name) or GatewayRow(name)

    def made(self, name: str) -> Made:
        """What a gateway is made of now."""
        return self._made[name]

    def names(self) -> list[str]:
        """Of all gateways, in their order."""
        return [each.name for each in self._gateways.all()]

    def held(self) -> list[Outgoing | None]:
        """The certificates of all gateways, to be watched."""
        return [each.secured.tls for each in self._made.values()]

    async def load(self) -> None:
        """Have what was said before this start, before anything is connected.

        Raises:
            SettingsError: it cannot be had: another node key, a channel that is not there.
        """
        problems: list[str] = []
        for row in (await rows.read(self._store)).values():
            if not row.added and row.name not in self._declared:
                log.warning("gateway_not_configured", gateway=row.name)
                continue
            try:
                made = self._make(row)
                problem = self._vault_problem(made)
                if problem:
                    raise SettingsError(problem)
            except SettingsError as error:
                problems += error.problems
                continue
            self._have(row, made, self._ready(row, made))
        if problems:
            raise SettingsError(*problems)

    async def look(self) -> float:
        """Have what another process of this node has written; see ``forever``."""
        async with self._changing:
            for row in (await rows.read(self._store)).values():
                known = self._rows.get(row.name)
                if row.version == (0 if known is None else known.version):
                    continue
                if not row.added and row.name not in self._declared:
                    continue
                try:
                    made = self._make(row)
                except SettingsError as error:
                    log.error("gateway_not_taken", gateway=row.name, error=error)
                    continue
                gateway = self._ready(row, made)
                await self._prepared(gateway)
                self._have(row, made, gateway)
        return LOOK_S

    # --- orders

    async def add(
        self, name: str, settings: dict[str, Any], values: dict[str, str], by: str, unchecked: bool
    ) -> None:
        """A gateway that there was none of. Raises ApiError."""
        async with self._changing:
            if name in self._made or name in self._rows:
                raise ApiError.conflict(
                    f"There is a gateway '{name}'; change it, or take another name.",
                    code="gateway_exists",
                )
            order = orders.added(name, settings)
            if values:
                order = self._sealing(order, str(settings.get("channel", "")), values, {})
            await self._carry_out(order, by, unchecked)

    async def change(
        self,
        name: str,
        version: int,
        settings: dict[str, Any],
        unset: list[str],
        by: str,
        unchecked: bool,
    ) -> None:
        """Other settings for a gateway. Raises ApiError."""
        async with self._changing:
            row = self._seen(name, version)
            order = orders.changed(row, self._made[name].settings, settings, unset)
            await self._carry_out(order, by, unchecked)

    async def state(self, name: str, version: int, verb: str, by: str) -> None:
        """Enable, drain or disable a gateway. Raises ApiError."""
        async with self._changing:
            row = self._seen(name, version)
            order = orders.stated(row, verb)
            if order.row.state != row.state:
                await self._carry_out(order, by, unchecked=True)

    async def credentials(
        self, name: str, version: int, values: dict[str, str], by: str, unchecked: bool
    ) -> None:
        """Other credentials of the same account. Raises ApiError."""
        async with self._changing:
            row = self._seen(name, version)
            kept = {} if row.sealed is None else self._unsealed(row.sealed, name)
            order = Order(row, "credentials", {"names": sorted(values)})
            order = self._sealing(order, self._made[name].settings.channel, values, kept)
            await self._carry_out(order, by, unchecked)

    async def rotate(self, keys: NodeKeys, by: str) -> list[str]:
        """Have all credentials under the first of these keys; whose were not.

        Raises:
            ApiError: one of them cannot be opened; nothing was changed.
        """
        current = keys.current
        if current is None:
            raise _no_key()
        async with self._changing:
            known = await rows.read(self._store)
            fresh = [
                self._rewrapped(row, keys)
                for row in known.values()
                if row.sealed is not None and row.sealed.node_key != current.id
            ]
            if fresh:
                details = {"node_key": current.id}
                crash_point("gateway.before")
                done = await rows.rewrite(self._store, fresh, "key", by, details)
                crash_point("gateway.committed")
                for row in done:
                    self._rows[row.name] = row
            self.keys = keys
            return [row.name for row in fresh]

    # --- one order

    async def _carry_out(self, order: Order, by: str, unchecked: bool) -> None:
        """Check, prepare, commit, have. Nothing is in force before it is committed."""
        try:
            made = self._make(order.row)
        except SettingsError as error:
            raise ApiError.invalid("\n".join(error.problems), param="settings") from None
        problem = self._vault_problem(made)
        if problem:
            raise ApiError.invalid(problem, param="settings[vault]")
        gateway = self._ready(order.row, made)
        try:
            await self._prepared(gateway)
            if gateway is not None and gateway.trouble is not None and not unchecked:
                raise ApiError.invalid(
                    f"Gateway '{order.row.name}' cannot be used so: {gateway.trouble}. Nothing was "
                    "changed. With --unchecked it is taken, and opens once that has ended.",
                    code="gateway_not_ready",
                )
            crash_point("gateway.before")
            row = await rows.write(self._store, order.row, order.what, by[:BY_MAX], order.details)
            crash_point("gateway.committed")
        except BaseException:
            if gateway is not None:
                await gateway.close()
            raise
        self._have(row, made, gateway)
        log.info("gateway_changed", gateway=row.name, operation=order.what, state=row.state)

    def _seen(self, name: str, version: int) -> GatewayRow:
        row = self.row(name)
        orders.seen(row, version)
        return row

    def _sealing(
        self, order: Order, of: str, values: dict[str, str], kept: dict[str, str]
    ) -> Order:
        """The order with credentials in its row: these over those that are kept."""
        key = self.keys.current
        if key is None:
            raise _no_key()
        try:
            unknown = unknown_secrets(of, values)
        except SettingsError as error:
            raise ApiError.invalid("\n".join(error.problems), param="settings[channel]") from None
        if unknown:
            raise ApiError.invalid(
                f"Channel {of} knows no secret called {', '.join(unknown)}.", param="secrets"
            )
        sealed = seal({**kept, **values}, key, self._node, order.row.name)
        row = msgspec.structs.replace(order.row, sealed=sealed)
        return msgspec.structs.replace(order, row=row)

    def _rewrapped(self, row: GatewayRow, keys: NodeKeys) -> GatewayRow:
        assert row.sealed is not None
        try:
            sealed = rewrap(row.sealed, keys, self._node, row.name)
        except WrongKey as wrong:
            raise ApiError.invalid(
                f"The credentials of gateway '{row.name}' are {wrong}. Nothing was changed: name "
                "that key in credentials_keys_earlier.",
                code="node_key_unknown",
            ) from None
        return msgspec.structs.replace(row, sealed=sealed)

    def _make(self, row: GatewayRow) -> Made:
        """What a row makes of a gateway. Raises SettingsError."""
        declared = self._declared.get(row.name)
        if row.version == 0 and not row.settings and row.sealed is None and declared is not None:
            return declared
        field = f"gateway '{row.name}'"
        table = {} if declared is None else msgspec.to_builtins(declared.settings)
        settings = convert({**table, **row.settings}, GatewaySettings, source=field, environ={})
        values = {} if declared is None else dict(declared.account.secrets)
        if row.sealed is not None:
            values |= self._unsealed(row.sealed, row.name)
        made = account(settings, field, self._folder, values)
        transport = channel(settings.channel).profile.transport
        return Made(settings, made, secured(settings, transport, field, self._folder))

    def _unsealed(self, sealed: Sealed, name: str) -> dict[str, str]:
        """Credentials of a row. Raises SettingsError."""
        try:
            return unseal(sealed, self.keys, self._node, name)
        except WrongKey as wrong:
            raise SettingsError(
                f"credentials_key: the credentials of gateway '{name}' are {wrong}. Give that key, "
                "in credentials_keys_earlier if it was replaced"
            ) from None

    def _vault_problem(self, made: Made) -> str | None:
        """Why it cannot stand beside the others."""
        others = [each.settings for name, each in self._made.items() if name != made.settings.name]
        return next(iter(vault_problems([*others, made.settings])), None)

    def _ready(self, row: GatewayRow, made: Made) -> Gateway | None:
        """A gateway to be prepared; None where the one that is there only has to be told."""
        now = self._made.get(row.name)
        if now is not None and self._gateways.get(row.name) is not None:
            alike = orders.same_connections(now.settings, made.settings)
            if alike and now.account == made.account:
                return None
        gateway = self._gateways.made(made.settings, made.account, made.secured)
        gateway.state = row.state
        return gateway

    async def _prepared(self, gateway: Gateway | None) -> None:
        if gateway is not None:
            try:
                async with asyncio.timeout(PREPARE_S):
                    await gateway.begin()
            except TimeoutError:
                log.warning("gateway_not_prepared", gateway=gateway.name)

    def _have(self, row: GatewayRow, made: Made, gateway: Gateway | None) -> None:
        """It is so from now on."""
        if gateway is not None:
            self._gateways.put(gateway)
        else:
            there = self._gateways.get(row.name)
            assert there is not None, "else it had been made"
            there.adopt(made.settings, row.state)
            made = msgspec.structs.replace(made, secured=self._made[row.name].secured)
        self._rows[row.name], self._made[row.name] = row, made


def _no_key() -> ApiError:
    return ApiError.invalid(
        "This node has no credentials_key, and credentials are kept encrypted or not at all. Set "
        "one in its settings file and start it again.",
        code="node_key_missing",
    )
