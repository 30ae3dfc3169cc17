"""Evidence to location: precedence, contradictions, and every refusal with its remedy."""

from typing import Any

import pytest

from bailiwick.base.errors import ApiError
from bailiwick.geo import atlas as atlas_module
from bailiwick.jurisdiction.locate import Evidence, Location, locate, parse_coordinates

ATLAS = atlas_module.load()
MUNICH = "48.137,11.575"
SIMFEROPOL = "44.95,34.10"
SEA = "30,-40"
INDIAN_IP = "49.36.0.1"


def at(*, overrides: dict[str, str] | None = None, default: str = "", **evidence: Any) -> Location:
    return locate(Evidence(**evidence), ATLAS, overrides or {}, default)


def refused(param: str, *, default: str = "", **evidence: Any) -> str:
    with pytest.raises(ApiError) as caught:
        at(default=default, **evidence)
    assert caught.value.status == 400
    assert caught.value.param == param
    assert caught.value.code
    return caught.value.message


def test_explicit_country() -> None:
    assert at(country="IN") == Location("IN", None, None, "explicit", "high", {"explicit": "IN"})
    assert at(country=" in ").country == "IN"
    assert at(country="XK").country == "XK"


@pytest.mark.parametrize(
    ("country", "subdivision", "place"),
    [
        ("US", "CA", ("US", "US-CA")),
        ("US", "US-CA", ("US", "US-CA")),
        ("us", "ca", ("US", "US-CA")),
        (None, "US-CA", ("US", "US-CA")),
        ("IN", "MH", ("IN", "IN-MH")),
        ("US", "PR", ("PR", None)),
        (None, "US-PR", ("PR", None)),
        ("PR", "US-PR", ("PR", None)),
        ("FR", "973", ("GF", None)),
    ],
)
def test_subdivision(country: str | None, subdivision: str, place: tuple[str, str | None]) -> None:
    found = at(country=country, subdivision=subdivision)
    assert (found.country, found.subdivision) == place
    assert found.source == "explicit"


def test_coordinates_and_ip() -> None:
    found = at(coordinates=MUNICH)
    assert (found.country, found.source, found.confidence) == ("DE", "coordinates", "high")
    assert found.coordinates == (48.137, 11.575)
    found = at(ip_address=INDIAN_IP)
    assert (found.country, found.source, found.confidence) == ("IN", "ip", "medium")
    assert INDIAN_IP not in str(found)  # an address is personal data: only what it said is kept


def test_precedence_and_contradictions() -> None:
    found = at(country="BR", coordinates=MUNICH, ip_address=INDIAN_IP)
    assert (found.country, found.source, found.confidence) == ("BR", "explicit", "medium")
    assert found.evidence == {"explicit": "BR", "coordinates": "DE", "ip": "IN"}
    assert found.contradictions == (
        "coordinates say DE, explicit says BR",
        "ip says IN, explicit says BR",
    )
    assert found.coordinates is None  # contradicted: no area may match by them
    found = at(coordinates=MUNICH, ip_address=INDIAN_IP)
    assert (found.country, found.contradictions) == ("DE", ("ip says IN, coordinates says DE",))
    assert at(ip_address=INDIAN_IP, default="FR").source == "ip"


def test_default() -> None:
    found = at(default="FR")
    assert (found.country, found.source, found.confidence) == ("FR", "default", "low")


def test_better_evidence_makes_silent_evidence_harmless() -> None:
    found = at(country="PT", coordinates=SEA, ip_address="10.0.0.1")
    assert found.country == "PT"
    assert "open sea" in found.evidence["coordinates"]
    assert "private" in found.evidence["ip"]
    assert found.contradictions == ()
    assert at(coordinates=SEA, ip_address=INDIAN_IP).source == "ip"


def test_overrides_hold_for_all_evidence() -> None:
    overrides = {"crimea": "UA", "XK": "RS"}
    assert at(coordinates=SIMFEROPOL, overrides=overrides).country == "UA"
    assert at(coordinates=SIMFEROPOL, overrides={"crimea": "RU"}).country == "RU"
    assert at(country="XK", overrides=overrides).country == "RS"
    assert at(coordinates="42.66,21.16", overrides=overrides).country == "RS"
    assert at(default="XK", overrides=overrides).country == "RS"
    assert at(coordinates="31.9,35.2").country == "PS"
    assert at(coordinates="31.9,35.2", overrides={"PS": "IL"}).country == "IL"
    assert at(country="CN", subdivision="TW", overrides={"TW": "CN"}).country == "CN"


def test_disputed_features_are_asked_for() -> None:
    message = refused("location[coordinates]", coordinates=SIMFEROPOL)
    assert "crimea" in message
    assert "location[country]" in message
    assert at(country="UA", coordinates=SIMFEROPOL).country == "UA"


@pytest.mark.parametrize(
    ("text", "hint"), [("UK", "'GB'"), ("USA", "'US'"), ("Germany", "'DE'"), ("Indai", "'IN'")]
)
def test_unknown_country_names_the_nearest(text: str, hint: str) -> None:
    assert hint in refused("location[country]", country=text)


def test_refused_places() -> None:
    assert "US-CA" in refused("location[subdivision]", subdivision="CA")
    assert "'CA'" in refused("location[subdivision]", country="US", subdivision="CA-ON")
    assert "US-" in refused("location[subdivision]", country="US", subdivision="XX")
    assert "FR-GES" in refused("location[subdivision]", subdivision="FR-A")
    assert "country" in refused("location[subdivision]", subdivision="ZZ-A")
    assert "no subdivisions" in refused("location[subdivision]", country="AX", subdivision="1")
    assert "open sea" in refused("location[coordinates]", coordinates=SEA)
    assert "private" in refused("location[ip_address]", ip_address="192.168.1.1")
    assert "not in the IP data" in refused("location[ip_address]", ip_address="100.64.0.1")
    assert "default country" in refused("location")


@pytest.mark.parametrize("point", ["91,0", "0,181", "nan,0", "0,inf", "-90.1,0"])
def test_impossible_coordinates_are_refused_even_with_a_country(point: str) -> None:
    assert "globe" in refused("location[coordinates]", country="DE", coordinates=point)


def test_malformed_ip_is_refused_even_with_a_country() -> None:
    message = refused("location[ip_address]", country="DE", ip_address="1.2.3.4:80")
    assert "1.2.3.4" not in message  # what a client sent by mistake is not echoed


def test_silent_evidence_is_no_reason_to_take_the_default() -> None:
    """A payer on the open sea is not where the merchant usually is."""
    assert "open sea" in refused("location[coordinates]", coordinates=SEA, default="FR")
    assert "private" in refused("location[ip_address]", ip_address="10.0.0.1", default="FR")


def test_parse_coordinates() -> None:
    assert parse_coordinates(MUNICH) == (48.137, 11.575)
    assert parse_coordinates(" -1.5 , 2e1 ") == (-1.5, 20.0)
    for text in ("", "1", "1,2,3", "north,east", "1;2", "1," + "2" * 200):
        with pytest.raises(ApiError, match="latitude,longitude") as caught:
            parse_coordinates(text)
        assert caught.value.param == "location[coordinates]"


def test_malformed_coordinates_are_told_first() -> None:
    message = refused("location[coordinates]", country="ZZ", coordinates="north", ip_address="x")
    assert "latitude,longitude" in message
