"""Build-time tool: compile country-coder's borders into ``src/bailiwick/data/borders.bin``.

    npm pack @rapideditor/country-coder@5.6.1 && tar xzf rapideditor-country-coder-5.6.1.tgz
    python tools/compile_borders.py compile package/src/data/borders.json
    python tools/compile_borders.py verify package/src/data/borders.json

Needs shapely, which the runtime does not. The format is read by ``bailiwick.geo.borders``:
``BWB1``, u32 header length, JSON header, zlib of little-endian arrays (see ``Compiled.dump``).
``verify`` compares the compiled file with a direct evaluation of the source by shapely.
"""

import argparse
import hashlib
import json
import math
import random
import struct
import sys
import time
import zlib
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import shapely
from shapely import STRtree
from shapely.geometry import MultiPolygon, Point, Polygon, box, shape
from shapely.geometry.base import BaseGeometry

SCALE = 10_000_000  # 1e-7 degree, about a centimetre: finer than the source's 5 decimals
MIXED = 0xFFFF
OUT = Path(__file__).resolve().parent.parent / "src" / "bailiwick" / "data" / "borders.bin"

# Features whose sovereignty is disputed, or which no ISO code names: kept apart, so that the
# deployer, not this data, decides. The value is the slug used in [overrides].
OWN_FEATURES = {
    "Q7835": "crimea",
    "Q23681": "northern-cyprus",
    "Q620634": "bir-tawil",
    "Q9143535": "akrotiri-and-dhekelia",
    "Q9206745": "akrotiri-and-dhekelia",
    "Q36678": "west-bank",
    "Q39760": "gaza-strip",
}


def feature_code(properties: dict[str, Any], official: set[str]) -> str:
    """The place a feature rolls up to: its own slug or code, else its territory, else country."""
    if slug := OWN_FEATURES.get(properties["wikidata"]):
        return slug
    own = properties.get("iso1A2")
    if own in official:
        return str(own)
    # A subterritory (Svalbard, Bonaire, Tristan da Cunha) names its territory among its groups.
    for group in properties.get("groups", ()):
        if group in official:
            return str(group)
    country = properties.get("country")
    if country in official:
        return str(country)
    raise SystemExit(f"no place for feature {properties}")


def load_source(path: Path) -> tuple[list[str], list[BaseGeometry], str]:
    """Read borders.json: place codes and geometries of the features that have one, and digest."""
    raw = path.read_bytes()
    features = json.loads(raw)["features"]
    official = {
        f["properties"]["iso1A2"]
        for f in features
        if f["properties"].get("iso1A2")
        and (not f["properties"].get("isoStatus") or f["properties"]["iso1A2"] == "XK")
    }
    codes, shapes = [], []
    for feature in features:
        if feature["geometry"] is not None:
            codes.append(feature_code(feature["properties"], official))
            shapes.append(shape(feature["geometry"]))
    return codes, shapes, hashlib.sha256(raw).hexdigest()


def rings_of(geometry: BaseGeometry) -> list[list[tuple[float, float]]]:
    """All rings of the polygonal part of a geometry; even-odd ray casting needs no more."""
    if isinstance(geometry, Polygon):
        rings = [geometry.exterior, *geometry.interiors]
        return [[(p[0], p[1]) for p in ring.coords] for ring in rings if len(ring.coords)]
    if hasattr(geometry, "geoms"):
        return [ring for part in geometry.geoms for ring in rings_of(part)]
    return []


class Compiled:
    """Cells row by row from -90, each row from -180; edges by piece, pieces by mixed cell."""

    def __init__(self, places: list[str]) -> None:
        self.places = places
        self.cells = array("H", [0]) * (360 * 180)
        self.mixed: dict[int, list[tuple[float, int, BaseGeometry]]] = {}

    def add(self, place: int, area: float, geometry: BaseGeometry) -> None:
        """Put one polygon of a feature into all the cells it touches."""
        west, south, east, north = geometry.bounds
        shapely.prepare(geometry)
        for row in range(math.floor(south), math.ceil(north)):
            for column in range(math.floor(west), math.ceil(east)):
                cell = box(column, row, column + 1, row + 1)
                if not geometry.intersects(cell):
                    continue
                index = (row + 90) * 360 + column + 180
                if geometry.covers(cell):
                    if self.cells[index]:
                        raise SystemExit(f"two features cover the cell {column},{row}")
                    self.cells[index] = place + 1
                    continue
                piece = shapely.intersection(geometry, cell)
                if piece.area > 0:
                    self.mixed.setdefault(index, []).append((area, place, piece))

    def dump(self, header: dict[str, Any]) -> bytes:
        """The file: header, then cells, pieces (first piece per mixed cell, place, first edge)
        and the edges' columns (low y, high y, x at low y, x at high y)."""
        cell_first, places, edge_first = array("I"), array("H"), array("I")
        columns = [array("i") for _ in range(4)]
        for index in sorted(self.mixed):
            row, column = divmod(index, 360)
            left = (column - 180) * SCALE
            cell_first.append(len(places))
            pieces = self.mixed[index]
            if self.cells[index]:  # a small feature inside a cell that a larger one covers
                cell = box(column - 180, row - 90, column - 179, row - 89)
                pieces.append((math.inf, self.cells[index] - 1, cell))
            self.cells[index] = MIXED
            # Smallest feature first: where two overlap, the most specific answers.
            for _, place, piece in sorted(pieces, key=lambda p: (p[0], p[1])):
                places.append(place)
                edge_first.append(len(columns[0]))
                for edge in edges_of(piece, left):
                    for column_array, value in zip(columns, edge, strict=True):
                        column_array.append(value)
        cell_first.append(len(places))
        edge_first.append(len(columns[0]))
        header = header | {
            "places": self.places,
            "mixed": len(self.mixed),
            "pieces": len(places),
            "edges": len(columns[0]),
        }
        head = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        arrays = [self.cells, cell_first, places, edge_first, *columns]
        if sys.byteorder == "big":
            for item in arrays:
                item.byteswap()
        body = zlib.compress(b"".join(item.tobytes() for item in arrays), 9)
        return b"BWB1" + struct.pack("<I", len(head)) + head + body


def edges_of(piece: BaseGeometry, left: int) -> list[tuple[int, int, int, int]]:
    """Edges a ray towards the east can meet, each directed upwards so that two neighbours that
    share one compute the same crossing and no point falls between them or in both."""
    edges = []
    for ring in rings_of(piece):
        points = [(round(x * SCALE), round(y * SCALE)) for x, y in ring]
        for (x1, y1), (x2, y2) in pairwise(points):
            if y1 == y2 or (x1 == left and x2 == left):
                continue
            edges.append((y1, y2, x1, x2) if y1 < y2 else (y2, y1, x2, x1))
    return sorted(edges)


def compile_file(source: Path, out: Path) -> None:
    codes, shapes, digest = load_source(source)
    places = sorted(set(codes))
    compiled = Compiled(places)
    for code, geometry in zip(codes, shapes, strict=True):
        if not isinstance(geometry, MultiPolygon):
            raise SystemExit(f"{code}: not a multipolygon")
        for part in geometry.geoms:
            compiled.add(places.index(code), geometry.area, part)
    header = {
        "source": "@rapideditor/country-coder 5.6.1 borders.json",
        "licence": "ISC, Copyright (c) 2025, country-coder contributors",
        "sha256": digest,
    }
    out.write_bytes(compiled.dump(header))
    print(f"{out.name}: {out.stat().st_size} bytes, {len(compiled.mixed)} mixed cells")


def sample(shapes: list[BaseGeometry], count: int, seed: int) -> list[tuple[float, float]]:
    """Points (lat, lon): a third anywhere, a third near borders, a third very near borders."""
    chance = random.Random(seed)
    vertices = shapely.get_coordinates(shapes).tolist()
    points = []
    for number in range(count):
        if number % 3 == 0:
            lat = math.degrees(math.asin(chance.uniform(-1, 1)))
            points.append((lat, chance.uniform(-180, 180)))
            continue
        spread = 0.3 if number % 3 == 1 else 0.01
        x, y = chance.choice(vertices)
        lat = min(90.0, max(-90.0, y + chance.gauss(0, spread)))
        points.append((lat, min(180.0, max(-180.0, x + chance.gauss(0, spread)))))
    return points


def verify(source: Path, out: Path, count: int, seed: int) -> int:
    """Compare with shapely; a difference counts unless the point is within 2e-7 of a border."""
    from bailiwick.geo.borders import Borders

    codes, shapes, _ = load_source(source)
    started = time.perf_counter()
    borders = Borders.from_bytes(out.read_bytes())
    loaded_ms = (time.perf_counter() - started) * 1000
    tree = STRtree(shapes)
    differences, close = [], 0
    for lat, lon in sample(shapes, count, seed):
        point = Point(lon, lat)
        hits = [int(i) for i in tree.query(point, predicate="intersects")]
        if abs(lon) == 180.0:  # both sides of the antimeridian are one place
            other = Point(-lon, lat)
            hits += [int(i) for i in tree.query(other, predicate="intersects")]
        hits.sort(key=lambda i: shapes[i].area)
        expected = codes[hits[0]] if hits else None
        got = borders.place_at(lat, lon)
        if got != expected:
            near = tree.query_nearest(point)
            edge = min(shapes[int(i)].boundary.distance(point) for i in [*near, *hits])
            if edge > 2e-7:
                differences.append((lat, lon, expected, got))
            else:
                close += 1
    report = {
        "points": count,
        "seed": seed,
        "differences": len(differences),
        "within_2e-7_degree_of_a_border": close,
        "examples": differences[:10],
        "load_ms": round(loaded_ms, 1),
    }
    print(json.dumps(report))
    return 1 if differences else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["compile", "verify"])
    parser.add_argument("source", type=Path, help="country-coder's borders.json")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.action == "compile":
        compile_file(args.source, args.out)
        return 0
    return verify(args.source, args.out, args.points, args.seed)


if __name__ == "__main__":
    sys.exit(main())
