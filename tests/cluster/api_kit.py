"""A client of the API that says exactly what is on the wire, at access or at a node."""

import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

FORM = "application/x-www-form-urlencoded"


class Api:
    """One API key at one address."""

    def __init__(self, url: str, key: str) -> None:
        self._where = urlsplit(url).netloc
        self.key = key

    def ask(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | None = None,
        *,
        body: bytes | None = None,
        kind: str = FORM,
        **headers: str,
    ) -> tuple[int, dict[str, Any]]:
        """Status and object of one request; ``params`` as a form or a query, ``body`` as it is."""
        sent = {"Authorization": f"Bearer {self.key}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if params is not None and method == "GET":
            path += "?" + urlencode(params)
        elif params is not None:
            body = urlencode(params).encode()
        if body is not None:
            sent["Content-Type"] = kind
        connection = http.client.HTTPConnection(self._where, timeout=120)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def post(self, path: str, **params: Any) -> tuple[int, dict[str, Any]]:
        """POST a form."""
        return self.ask("POST", path, params)

    def post_json(self, path: str, params: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """POST a JSON body."""
        return self.ask("POST", path, body=json.dumps(params).encode(), kind="application/json")

    def get(self, path: str, **params: Any) -> tuple[int, dict[str, Any]]:
        """GET with a query."""
        return self.ask("GET", path, params)

    def pay(self, **params: Any) -> dict[str, Any]:
        """A payment of 50.00 EUR in Germany, confirmed with a card that works."""
        status, payment = self.ask(
            "POST",
            "/v1/payment_intents",
            {
                "amount": "5000", "currency": "eur", "payment_method": "pm_card_visa",
                "confirm": "true", "location[country]": "DE", **params,
            },
        )  # fmt: skip
        assert status == 200, payment
        return payment


def at_both(demo: dict[str, Any], key: str = "secret_key") -> dict[str, Api]:
    """The API at access and at the node that has jurisdiction over Germany."""
    node = next(each for each in demo["nodes"] if each["name"] == "europe")
    return {
        "access": Api(demo["access"][0]["url"], demo[key]),
        "node": Api(node["url"], demo[key]),
    }
