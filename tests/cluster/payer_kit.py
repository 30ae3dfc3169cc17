"""A payer who pays by a provider's page, in one payment after the other."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from api_kit import Api

from tests.waiting import wait_until


class Payer:
    """A payment by a provider's page, and its payer there."""

    def __init__(self, demo: dict[str, Any], method: str) -> None:
        self.api = Api(demo["base_url"], demo["secret_key"])
        self.sandbox = demo["sandbox"]["url"]
        status, self.made = self.api.post(
            "/v1/payment_intents",
            **{
                "amount": "1999", "currency": "eur", "confirm": "true", "location[country]": "DE",
                "payment_method_types[0]": method, "payment_method_data[type]": method,
                "payment_method_data[flow]": "redirect",
                "return_url": "https://shop.example/back",
            },
        )  # fmt: skip
        assert (status, self.made["status"]) == (200, "requires_action"), self.made
        self.charge = self.made["latest_charge"]

    def books(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.sandbox}/books", timeout=30) as answer:
            return dict(json.load(answer))

    def row(self) -> dict[str, Any]:
        """The charge in the provider's books."""
        [row] = [each for each in self.books()["charges"] if each["reference"] == self.charge]
        return dict(row)

    def approves(self) -> str:
        """At the page; where the payer is sent then."""
        row = self.row()
        url = f"{self.sandbox}/{row['provider']}/pay/{row['id']}"
        body = urllib.parse.urlencode({"decision": "approve"}).encode()
        return where(urllib.request.Request(url, body))

    def comes_back(self, url: str) -> None:
        """To where the provider has sent the payer, until the node answers there."""

        def came() -> bool:
            try:
                return where(urllib.request.Request(url)).startswith("https://shop.example/back?")
            except (OSError, urllib.error.URLError):
                return False

        wait_until(came)

    def has_paid_once(self) -> None:
        def ended() -> bool:
            status, found = self.api.get(f"/v1/payment_intents/{self.made['id']}")
            self.made = found if status == 200 else self.made
            return self.made["status"] not in ("processing", "requires_action")

        wait_until(ended)
        assert (self.made["status"], self.made["amount_received"]) == ("succeeded", 1999)
        row = self.row()
        assert (row["status"], row["amount_captured"]) == ("captured", 1999)
        done = [each for each in self.books()["completions"] if each["charge"] == row["id"]]
        assert [each["reference"] for each in done] == [f"{self.charge}s2"]


def where(request: urllib.request.Request) -> str:
    """The address of a redirect."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any, **kwargs: Any) -> None:
            return None

    try:
        answer = urllib.request.build_opener(Stay).open(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return str(answer.headers.get("location", ""))
