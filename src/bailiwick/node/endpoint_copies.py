"""Webhook endpoints are brought from node to node by access: what it asks here, and brings."""

import falcon.asgi
import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, node_of
from bailiwick.base.sealing import SEAL, Fresh, answer_seal, require
from bailiwick.interlink.endpoint_copies import (
    ASKERS_MAX,
    FRESH_MS,
    KIND,
    QUESTION_BYTES_MAX,
    ROWS_MAX,
    VERSIONS_MAX,
    CopiesAnswer,
    CopiesQuestion,
    EndpointRow,
)
from bailiwick.node.service import Node
from bailiwick.wire.answers import json_answer
from bailiwick.wire.protocol import read_body

_question = msgspec.json.Decoder(CopiesQuestion)


class EndpointCopies:
    """/internal/webhook_endpoints"""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._fresh = Fresh(node.number, FRESH_MS, ASKERS_MAX)

    async def on_post(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Tell, or take over. Only an access process may ask, and each question once."""
        body = await read_body(request, QUESTION_BYTES_MAX)
        secret = self._node.refusals.secret
        proof = require(secret, KIND, request.get_header(SEAL), body, "access processes")
        try:
            asked = _question.decode(body)
        except msgspec.DecodeError as error:
            raise ApiError.invalid(f"Not a question about endpoints: {error}") from None
        self._fresh.take(asked, now_ms())
        json_answer(response, await self._tell(asked))
        response.set_header(SEAL, answer_seal(secret, KIND, proof, bytes(response.data or b"")))

    async def _tell(self, asked: CopiesQuestion) -> CopiesAnswer:
        store = self._node.store
        if asked.rows is not None:
            await self._take(asked.rows)
            return CopiesAnswer()
        if asked.ids is not None:
            rows = await store.rows("endpoint_rows", asked.ids[:ROWS_MAX])
            return CopiesAnswer(rows=[EndpointRow(*row) for row in rows])
        if asked.after is not None:
            rows = await store.rows("endpoint_versions", asked.after, VERSIONS_MAX)
            return CopiesAnswer(versions={row["id"]: row["version"] for row in rows})
        row = await store.row("endpoint_digest")
        assert row is not None, "an aggregate has one row"
        return CopiesAnswer(digest=row["digest"])

    async def _take(self, rows: list[EndpointRow]) -> None:
        """Have these, but for those of which a newer one is here."""
        if len(rows) > ROWS_MAX:
            raise ApiError.invalid(f"At most {ROWS_MAX} rows.", param="rows")
        for row in rows:
            if not is_id(row.id, "we") or node_of(row.id) != 0:
                raise ApiError.invalid("That is no endpoint's id.", param="rows")
        async with self._node.endpoints.changing:
            for row in rows:
                await self._node.store.rows("endpoint_copy", *msgspec.structs.astuple(row))
            await self._node.endpoints.load(self._node.store)
