"""From evidence to one location: explicit over coordinates over IP over the merchant's default.

Pure, the same at access and node. What each piece of evidence said is kept as country codes, never
as addresses or points, so that it can be stored and shown; the accepted coordinates are a field of
their own.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bailiwick.base.errors import ApiError
from bailiwick.geo.atlas import Atlas, why_unknown
from bailiwick.geo.places import Places

Source = Literal["explicit", "coordinates", "ip", "default"]
Confidence = Literal["high", "medium", "low"]

CODE = "location_invalid"
REMEDY = "Send location[country] with an ISO 3166-1 alpha-2 code."
_Text = Annotated[str, Meta(max_length=64)]


class Evidence(msgspec.Struct, frozen=True):
    """What a request says about where the payer is: its ``location`` parameter, the one thing added
    to Stripe's format. Nothing else counts, in particular no header such as ``X-Forwarded-For``.

    Attributes:
        coordinates: as ``parse_coordinates`` reads them.
    """

    country: _Text | None = None
    subdivision: _Text | None = None
    coordinates: _Text | None = None
    ip_address: _Text | None = None


NO_EVIDENCE = Evidence()


class Location(msgspec.Struct, frozen=True):
    """Where the payer is taken to be.

    Attributes:
        country: ISO 3166-1 alpha-2 code or XK, after the deployer's overrides.
        subdivision: full ISO 3166-2 code ("US-CA") when one was given.
        coordinates: (lat, lon) when given and not contradicted; areas are matched by them.
        evidence: for each piece of evidence, the place it said or why it said none.
        contradictions: what disagreed with the accepted place, in words.
    """

    country: str
    subdivision: str | None
    coordinates: tuple[float, float] | None
    source: Source
    confidence: Confidence
    evidence: dict[str, str]
    contradictions: tuple[str, ...] = ()


def _refuse(message: str, field: str) -> ApiError:
    return ApiError.invalid(message, param=f"location[{field}]", code=CODE)


def parse_coordinates(text: str) -> tuple[float, float]:
    """Read "lat,lon" in decimal degrees. Raises ApiError (400, location[coordinates])."""
    parts = text.split(",") if len(text) <= 100 else []
    try:
        lat, lon = (float(part) for part in parts)
    except ValueError:
        raise _refuse(
            "location[coordinates] must be 'latitude,longitude' in decimal degrees, "
            "for example '48.137,11.575'.",
            "coordinates",
        ) from None
    return lat, lon


def locate(
    evidence: Evidence, atlas: Atlas, overrides: Mapping[str, str], default_country: str = ""
) -> Location:
    """Decide the payer's location.

    Evidence that is malformed or impossible is refused even when better evidence is given;
    evidence that merely says nothing (open sea, an unknown address) is refused only when
    nothing better is there. Raises ApiError (400) naming the field and the remedy.
    """
    point = None if evidence.coordinates is None else parse_coordinates(evidence.coordinates)
    said: dict[str, str] = {}
    explicit, subdivision = _explicit(evidence, atlas.places, overrides)
    if explicit is not None:
        said["explicit"] = subdivision or explicit
    at_point: str | None = None
    if point is not None:
        at_point, sea = _at_point(point, atlas, overrides)
        said["coordinates"] = at_point or sea
    of_ip: str | None = None
    if evidence.ip_address is not None:
        of_ip, unknown = _of_ip(evidence.ip_address, atlas, overrides)
        said["ip"] = of_ip or unknown

    if explicit is not None:
        return _decided("explicit", explicit, subdivision, point, said, at_point, of_ip)
    if at_point is not None:
        return _decided("coordinates", at_point, None, point, said, at_point, of_ip)
    if of_ip is not None:
        return _decided("ip", of_ip, None, point, said, at_point, of_ip)
    if point is not None:
        raise _refuse(
            f"location[coordinates] {sea}. Check that latitude comes first. {REMEDY}", "coordinates"
        )
    if evidence.ip_address is not None:
        raise _refuse(f"location[ip_address] is {unknown}. {REMEDY}", "ip_address")
    if default_country:
        country = overrides.get(default_country, default_country)
        said["default"] = country
        return _decided("default", country, None, None, said, None, None)
    raise ApiError.invalid(
        "The payer's location is needed: send location[country], location[coordinates] or "
        "location[ip_address]; this merchant has no default country.",
        param="location",
        code="location_missing",
    )


def _decided(
    source: Source,
    country: str,
    subdivision: str | None,
    point: tuple[float, float] | None,
    said: dict[str, str],
    at_point: str | None,
    of_ip: str | None,
) -> Location:
    contradictions = []
    if at_point is not None and at_point != country:
        contradictions.append(f"coordinates say {at_point}, {source} says {country}")
    if of_ip is not None and of_ip != country:
        contradictions.append(f"ip says {of_ip}, {source} says {country}")
    confidence: Confidence = "high"
    if source == "default":
        confidence = "low"
    elif source == "ip" or contradictions:
        confidence = "medium"
    agreed = point if at_point in (None, country) else None
    return Location(country, subdivision, agreed, source, confidence, said, tuple(contradictions))


def _explicit(
    evidence: Evidence, places: Places, overrides: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """The country and subdivision stated, as codes; (None, None) when none is."""
    country = evidence.country
    if country:
        if country not in places.countries:
            country = country.strip().upper()
            if country not in places.countries:
                raise _refuse(places.explain_country(evidence.country or ""), "country")
    elif not evidence.subdivision:
        return None, None
    if not evidence.subdivision:
        return (overrides.get(country, country) if country else None), None
    return _subdivision(country, evidence.subdivision, places, overrides)


def _subdivision(
    country: str | None, text: str, places: Places, overrides: Mapping[str, str]
) -> tuple[str, str | None]:
    """Read "CA" with a country, or "US-CA"."""
    code = text.strip().upper()
    if "-" not in code:
        if not country:
            raise _refuse(
                f"location[subdivision] '{text[:40]}' needs its country: send location[country] "
                "too, or the full ISO 3166-2 code such as 'US-CA'.",
                "subdivision",
            )
        code = f"{country}-{code}"
    parent = code.partition("-")[0]
    if parent not in places.countries:
        raise _refuse(places.explain_country(parent), "subdivision")
    same = places.same_as_country.get(code)
    if country and country not in (parent, same):
        raise _refuse(
            f"location[subdivision] '{code}' is not in location[country] '{country}'; send the "
            f"country '{parent}' or a subdivision of '{country}'.",
            "subdivision",
        )
    if code not in places.subdivisions:
        raise _refuse(places.explain_subdivision(code), "subdivision")
    if same is not None:  # US-PR and PR are one place and must be assigned alike
        return overrides.get(same, same), None
    if parent in overrides:  # the subdivision belongs to a country that is not used here
        return overrides[parent], None
    return parent, code


def _at_point(
    point: tuple[float, float], atlas: Atlas, overrides: Mapping[str, str]
) -> tuple[str | None, str]:
    """The country at the coordinates, or None and why."""
    lat, lon = point
    if not (isfinite(lat) and isfinite(lon) and -90 <= lat <= 90 and -180 <= lon <= 180):
        raise _refuse(
            "location[coordinates] is not on the globe: latitude is within -90..90 and "
            "longitude within -180..180, latitude first.",
            "coordinates",
        )
    found = atlas.country_at(lat, lon)
    if found is None:
        return None, "are on the open sea, in no country"
    country = overrides.get(found, found)
    if country in atlas.places.countries:
        return country, ""
    meant = atlas.places.features.get(found)
    if meant is None:
        return None, f"are in {found}, for which this deployment names no country"
    return overrides.get(meant, meant), ""


def _of_ip(text: str, atlas: Atlas, overrides: Mapping[str, str]) -> tuple[str | None, str]:
    """The country of the IP address, or None and why."""
    text = text.strip()
    try:
        found = atlas.country_of_ip(text)
    except ValueError:
        raise _refuse(
            "location[ip_address] is not an IPv4 or IPv6 address; send one without port, "
            f"brackets or zone. {REMEDY}",
            "ip_address",
        ) from None
    if found is None:
        return None, why_unknown(text)
    return overrides.get(found, found), ""
