"""The atlas: what a point on the map or an IP address says about the country.

Loaded once per process (the only I/O here); look-ups are pure. Built in: our compiled borders
and ``iptocc``; an operator's MaxMind DB file is asked first when one is given.
"""

import hashlib
import ipaddress
from collections.abc import Callable
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import iptocc
import maxminddb

from bailiwick.geo.borders import Borders
from bailiwick.geo.places import Places, load_places

IpLookup = Callable[[str], str | None]

# Ranges an address cannot be located by, most telling words first.
_KINDS = (
    ("is_unspecified", "the unspecified address"),
    ("is_loopback", "a loopback address"),
    ("is_link_local", "a link-local address"),
    ("is_multicast", "a multicast address"),
    ("is_private", "a private or documentation address"),
    ("is_reserved", "a reserved address"),
)


class Atlas:
    """Borders, IP ranges and the table of places; immutable.

    Attributes:
        places: countries, subdivisions and features.
        digest: "sha256:..." over the borders, the places, the version of the built-in IP data
            and the operator's file, so that an epoch can pin what decides.
    """

    __slots__ = ("_borders", "_operator_ip", "digest", "places")

    def __init__(
        self,
        borders: Borders,
        places: Places,
        digest: str,
        operator_ip: IpLookup | None = None,
    ) -> None:
        self._borders = borders
        self._operator_ip = operator_ip
        self.places = places
        self.digest = digest

    def country_at(self, lat: float, lon: float) -> str | None:
        """The country code, or the feature ("crimea") to be put through overrides, at a point
        in degrees; None on the open sea. Raises ValueError outside the globe."""
        if not (-90.0 <= lat <= 90.0 and -180.0 <= lon <= 180.0):
            raise ValueError("latitude is within -90..90 and longitude within -180..180")
        return self._borders.place_at(lat, lon)

    def country_of_ip(self, ip: str) -> str | None:
        """The country of an IPv4 or IPv6 address; None when unknown. Raises ValueError when
        it is no address."""
        text = str(_address(ip))
        found = self._operator_ip(text) if self._operator_ip is not None else None
        if found not in self.places.countries:
            found = iptocc.country_code(text)
        # Registries also know "EU" and "ZZ", which are no places.
        return found if found in self.places.countries else None


def _address(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Parse; an IPv4-mapped or 6to4 address stands for the IPv4 address within it."""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError("an address with a zone is not a public address")
        return address.ipv4_mapped or address.sixtofour or address
    return address


def why_unknown(ip: str) -> str:
    """What kind of address a parseable but unlocated one is, in words."""
    address = _address(ip)
    for attribute, words in _KINDS:
        if getattr(address, attribute):
            return words
    return "not in the IP data of this deployment"


def _record_country(record: Any) -> str | None:
    """The country in a record of the usual layouts (MaxMind, DB-IP, IPinfo, geo-whois)."""
    if not isinstance(record, dict):
        return None
    country = record.get("country")
    if isinstance(country, dict):
        country = country.get("iso_code")
    if not isinstance(country, str):
        country = record.get("country_code")
    return country.upper() if isinstance(country, str) else None


def _operator_lookup(path: Path) -> tuple[IpLookup, str]:
    """A look-up in the operator's file, and the file's digest. Raises ValueError."""
    try:
        raw = path.read_bytes()
        reader = maxminddb.open_database(path)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise ValueError(f"{path}: not a readable MaxMind DB file: {error}") from error
    ipv6 = reader.metadata().ip_version == 6

    def lookup(text: str) -> str | None:
        if not ipv6 and ":" in text:
            return None
        return _record_country(reader.get(text))

    return lookup, hashlib.sha256(raw).hexdigest()


def load(mmdb: Path | None = None) -> Atlas:
    """Read the packaged borders and, if given, the operator's MaxMind DB file.

    Takes about 20 ms. Raises ValueError, naming the file, when one cannot be read.
    """
    raw = resources.files("bailiwick.data").joinpath("borders.bin").read_bytes()
    table = resources.files("bailiwick.data").joinpath("places.json").read_bytes()
    parts = [
        f"borders {hashlib.sha256(raw).hexdigest()}",
        f"places {hashlib.sha256(table).hexdigest()}",
        f"iptocc {metadata.version('iptocc')}",
    ]
    lookup = None
    if mmdb is not None:
        lookup, digest = _operator_lookup(mmdb)
        parts.append(f"mmdb {digest}")
    total = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return Atlas(Borders.from_bytes(raw), load_places(), f"sha256:{total}", lookup)
