"""The SQL of the machine for one kind of orders: its own, with the kind's table filled in.

The kind's table has the columns that all orders have (``id, merchant, livemode, version,
content_seq, state, writer, epoch, amount, currency, attempts, open_attempt, created_ms,
updated_ms``), and there are two types for its rows, ``<table>_create_row`` and
``<table>_move_row``, whose attributes are the fields of its ``OrderCreate`` and ``OrderMove``.
"""

from collections.abc import Sequence

import msgspec

from bailiwick.store.statements import statement


class OrderTable(msgspec.Struct, frozen=True):
    """Where orders of one kind are kept.

    Attributes:
        name: of the table.
        operation: of the attempt that an order may begin with.
        create_lane, move_lane: names of the lanes that write it.
        guarded: its own columns, set by every move from the row's field of that name.
        also: its moves may tell of more than one event (``Kinds.also``).
        at_first: its own columns that a new order sets, and to what of the row ``w``.
        first_parts: names of statements that are parts of ``create.sql``, for what is written
            with a new order.
        records: records are written with its orders (``records/beside.py``): ``more`` brings them,
            which new orders have too.
    """

    name: str
    operation: str
    create_lane: str
    move_lane: str
    guarded: tuple[str, ...] = ()
    at_first: dict[str, str] = {}
    also: bool = False
    first_parts: tuple[str, ...] = ()
    records: bool = False

    def create_sql(self) -> str:
        """``create.sql`` for this table."""
        text = statement("create").replace("@operation", self.operation)
        text = text.replace("@first_columns", "".join(f", {name}" for name in self.at_first))
        text = text.replace("@first_values", "".join(f", {it}" for it in self.at_first.values()))
        text = text.replace("@first_parts\n", "".join(statement(n) for n in self.first_parts))
        written = ""
        if self.records:
            written = statement("records_owned") + statement("records_beside")
        text = text.replace("@records\n", written.replace("@written", "won"))
        return text.replace("@table", self.name)

    def move_sql(self, parts: Sequence[str] = ()) -> str:
        """``move.sql`` for this table. ``parts``: names of statements that are parts of it, for
        what is written beside the order."""
        text = statement("move")
        text = text.replace("@guarded", "".join(f",\n           {n} = i.{n}" for n in self.guarded))
        text = text.replace("@also", "i.also" if self.also else "NULL")
        written = [statement(name) for name in parts]
        held = guard = ""
        if self.records:
            written.append(statement("records_beside").replace("@written", "moved"))
            held = statement("records_owned") + statement("records_held")
            guard = statement("records_as_held")
        text = text.replace("@held\n", held).replace("@as_held\n", guard)
        text = text.replace("@parts\n", "".join(written))
        return text.replace("@table", self.name)
