"""Rows of which each node has all are brought from node to node by access: what it asks here, and
brings."""

import falcon.asgi
import msgspec

from bailiwick import resources
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, node_of
from bailiwick.base.sealing import SEAL, Fresh, answer_seal, require
from bailiwick.interlink.copies import (
    ASKERS_MAX,
    FRESH_MS,
    KIND,
    QUESTION_BYTES_MAX,
    ROWS_MAX,
    VERSIONS_MAX,
    CopiesAnswer,
    CopiesQuestion,
    Row,
)
from bailiwick.interlink.resource import copied
from bailiwick.node.service import Node
from bailiwick.wire.answers import json_answer
from bailiwick.wire.protocol import read_body

_question = msgspec.json.Decoder(CopiesQuestion)


class Copies:
    """/internal/copies"""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tables = copied(resources.every())
        self._fresh = Fresh(node.number, FRESH_MS, ASKERS_MAX)

    async def on_post(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Tell, or take over. Only an access process may ask, and each question once."""
        body = await read_body(request, QUESTION_BYTES_MAX)
        secret = self._node.refusals.secret
        proof = require(secret, KIND, request.get_header(SEAL), body, "access processes")
        try:
            asked = _question.decode(body)
        except msgspec.DecodeError as error:
            raise ApiError.invalid(f"Not a question about copies: {error}") from None
        self._fresh.take(asked, now_ms())
        json_answer(response, await self._tell(asked))
        response.set_header(SEAL, answer_seal(secret, KIND, proof, bytes(response.data or b"")))

    async def _tell(self, asked: CopiesQuestion) -> CopiesAnswer:
        store, table = self._node.store, asked.of
        if not table:
            return CopiesAnswer(digests={name: await self._digest(name) for name in self._tables})
        if table not in self._tables:
            raise ApiError.invalid("No such table is at every node.", param="of")
        if asked.rows is not None:
            await self._take(table, asked.rows)
            return CopiesAnswer()
        if asked.ids is not None:
            rows = await store.rows(f"{table}_rows", asked.ids[:ROWS_MAX])
            return CopiesAnswer(rows=[Row(*row) for row in rows])
        rows = await store.rows(f"{table}_versions", asked.after or "", VERSIONS_MAX)
        return CopiesAnswer(versions={row["id"]: row["version"] for row in rows})

    async def _digest(self, table: str) -> str:
        row = await self._node.store.row(f"{table}_digest")
        assert row is not None, "an aggregate has one row"
        return str(row["digest"])

    async def _take(self, table: str, rows: list[Row]) -> None:
        """Have these, but for those of which a newer one is here."""
        if len(rows) > ROWS_MAX:
            raise ApiError.invalid(f"At most {ROWS_MAX} rows.", param="rows")
        prefixes = self._tables[table]
        for row in rows:
            if not any(is_id(row.id, each) for each in prefixes) or node_of(row.id) != 0:
                raise ApiError.invalid(f"That is no id of {table}.", param="rows")
        known = self._node.everywhere[table]
        async with known.changing:
            for row in rows:
                await self._node.store.rows(f"{table}_copy", row.id, row.row)
            await known.load(self._node.store)
