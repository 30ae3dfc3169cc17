"""Microseconds of locate and assign, per call, distinct inputs, nothing cached between calls.

Coordinates: distinct points, half anywhere on the globe and half within a degree of large
cities; IP: distinct located addresses of each version.
"""

import ipaddress
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.geo import atlas as atlas_module
from bailiwick.jurisdiction.assign import assign
from bailiwick.jurisdiction.locate import Evidence, locate
from bailiwick.topology import topology

CITIES = [
    (28.61, 77.21), (19.08, 72.88), (-23.55, -46.63), (48.14, 11.58), (35.68, 139.69),
    (40.71, -74.01), (51.51, -0.13), (6.52, 3.38), (-33.87, 151.21), (22.3, 114.17),
    (50.85, 4.35), (47.56, 7.59), (1.35, 103.82), (41.01, 28.98), (25.2, 55.27), (46.2, 6.15),
]  # fmt: skip

TOPOLOGY = b"""
epoch = 1
[groups]
eea = ["AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IS", "IE",
  "IT", "LV", "LI", "LT", "LU", "MT", "NL", "NO", "PL", "PT", "RO", "SK", "SI", "ES", "SE"]
[[nodes]]
number = 1
name = "apac"
url = "http://127.0.0.1:9101"
[[nodes]]
number = 2
name = "europe"
url = "http://127.0.0.1:9102"
[[nodes]]
number = 3
name = "americas"
url = "http://127.0.0.1:9103"
[[rules]]
places = ["IN"]
nodes = ["apac"]
residency = "strict"
[[rules]]
places = ["group:eea", "GB", "CH"]
nodes = ["europe", "americas"]
residency = "prefer"
[[rules]]
places = ["US-CA"]
nodes = ["americas"]
residency = "prefer"
[[rules]]
places = ["area:fair"]
nodes = ["europe"]
residency = "strict"
[[rules]]
places = ["default"]
nodes = ["americas", "europe", "apac"]
residency = "free"
[[areas]]
name = "fair"
polygon = [[11.68, 48.12], [11.71, 48.12], [11.71, 48.14], [11.68, 48.14]]
"""


def points(count: int, chance: random.Random) -> list[tuple[float, float]]:
    """Latitudes and longitudes."""
    found = []
    for number in range(count):
        if number % 2:
            lat, lon = chance.choice(CITIES)
            found.append((lat + chance.uniform(-1, 1), lon + chance.uniform(-1, 1)))
        else:
            lat = math.degrees(math.asin(chance.uniform(-1, 1)))
            found.append((lat, chance.uniform(-180, 180)))
    return found


def addresses(version: int, count: int, chance: random.Random, known: Any) -> list[str]:
    """Addresses that ``known`` can place."""
    found: set[str] = set()
    while len(found) < count:
        if version == 4:
            text = str(ipaddress.IPv4Address(chance.getrandbits(32)))
        else:
            high = chance.choice([0x2001, 0x2400, 0x2600, 0x2800, 0x2A00, 0x2C00, 0x2A02, 0x240E])
            number = (high + chance.getrandbits(4)) << 112 | chance.getrandbits(112)
            text = str(ipaddress.IPv6Address(number))
        if known(text) is not None:
            found.add(text)
    return sorted(found, key=lambda _: chance.random())


def measure(call: Callable[[Any], object], inputs: Sequence[Any]) -> dict[str, float | int]:
    """p50 and p99 of the single calls, less the clock's own cost."""
    clock = time.perf_counter_ns
    empty = sorted(-clock() + clock() for _ in range(2000))[1000]
    times = []
    for item in inputs:
        before = clock()
        call(item)
        times.append(clock() - before - empty)
    times.sort()
    return {
        "calls": len(times),
        "p50_us": round(times[len(times) // 2] / 1000, 2),
        "p99_us": round(times[len(times) * 99 // 100] / 1000, 2),
    }


def report(size: int = 20_000, seed: int = 1) -> dict[str, Any]:
    """All figures: ``size`` countries, as many points, and a quarter as many addresses of each
    version."""
    chance = random.Random(seed)
    before = time.perf_counter()
    atlas = atlas_module.load()
    load_ms = (time.perf_counter() - before) * 1000
    rules = topology.parse(TOPOLOGY)
    overrides = rules.overrides
    spots = points(size, chance)
    v4 = addresses(4, size // 4, chance, atlas.country_of_ip)
    v6 = addresses(6, size // 4, chance, atlas.country_of_ip)
    given = [Evidence(country=chance.choice(list(atlas.places.countries))) for _ in range(size)]
    at_points = [Evidence(coordinates=f"{lat},{lon}") for lat, lon in spots]
    of_ips = [Evidence(ip_address=ip) for ip in (*v4, *v6)]

    def run(evidence: Evidence) -> object:
        try:
            return assign(locate(evidence, atlas, overrides), rules)
        except ApiError as refusal:  # the open sea is an answer too
            return refusal

    return {
        "atlas_load_ms": round(load_ms, 1),
        "locate_country": measure(lambda e: locate(e, atlas, overrides), given),
        "country_at": measure(lambda p: atlas.country_at(*p), spots),
        "country_of_ip_v4": measure(atlas.country_of_ip, v4),
        "country_of_ip_v6": measure(atlas.country_of_ip, v6),
        "locate_assign_country": measure(run, given),
        "locate_assign_coordinates": measure(run, at_points),
        "locate_assign_ip": measure(run, of_ips),
        "locate_assign_mixed": measure(run, chance.sample([*given, *at_points, *of_ips], size)),
    }
