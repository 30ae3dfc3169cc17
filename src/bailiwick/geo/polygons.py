"""Small polygons of areas: validity, point in polygon and overlap. Pure; degrees, (lon, lat).

Areas are small (at most ``MOST_DEGREES`` wide), so plane geometry serves.
"""

from collections.abc import Iterator
from itertools import pairwise

Point = tuple[float, float]
Ring = tuple[Point, ...]
Box = tuple[float, float, float, float]

MOST_DEGREES = 10.0
MOST_POINTS = 500
_TINY = 1e-9


def box_of(ring: Ring) -> Box:
    """West, south, east, north."""
    xs = [x for x, _ in ring]
    ys = [y for _, y in ring]
    return min(xs), min(ys), max(xs), max(ys)


def edges(ring: Ring) -> Iterator[tuple[Point, Point]]:
    """The edges, the closing one included; ``ring`` does not repeat its first point."""
    previous = ring[-1]
    for point in ring:
        yield previous, point
        previous = point


def contains(ring: Ring, x: float, y: float) -> bool:
    """Whether a point lies in the ring; of two rings that share an edge, one has it."""
    inside = False
    x1, y1 = ring[-1]
    for x2, y2 in ring:
        if y1 != y2:
            (ax, ay), (bx, by) = ((x1, y1), (x2, y2)) if y1 < y2 else ((x2, y2), (x1, y1))
            if ay <= y < by and x < ax + (y - ay) * (bx - ax) / (by - ay):
                inside = not inside
        x1, y1 = x2, y2
    return inside


def _side(a: Point, b: Point, p: Point) -> float:
    """Twice the area of a, b, p; its sign tells on which side of a-b the point p is."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def _on_edge(a: Point, b: Point, p: Point) -> bool:
    length = abs(b[0] - a[0]) + abs(b[1] - a[1])
    if abs(_side(a, b, p)) > _TINY * max(length, _TINY):
        return False
    return (
        min(a[0], b[0]) - _TINY <= p[0] <= max(a[0], b[0]) + _TINY
        and min(a[1], b[1]) - _TINY <= p[1] <= max(a[1], b[1]) + _TINY
    )


def _strictly_in(ring: Ring, p: Point) -> bool:
    return contains(ring, *p) and not any(_on_edge(a, b, p) for a, b in edges(ring))


def _cuts(a: Point, b: Point, ring: Ring) -> list[float]:
    """Where, as shares 0..1 of the edge a-b, the ring crosses or touches it."""
    shares = [0.0, 1.0]
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    for c, d in edges(ring):
        if max(c[0], d[0]) < min(a[0], b[0]) or min(c[0], d[0]) > max(a[0], b[0]):
            continue
        if _on_edge(a, b, c):
            shares.append(((c[0] - a[0]) * dx + (c[1] - a[1]) * dy) / square)
        c_side, d_side = _side(a, b, c), _side(a, b, d)
        if (c_side < 0) != (d_side < 0) and c_side != d_side:
            share = c_side / (c_side - d_side)
            x, y = c[0] + share * (d[0] - c[0]), c[1] + share * (d[1] - c[1])
            shares.append(((x - a[0]) * dx + (y - a[1]) * dy) / square)
    return sorted(share for share in shares if 0.0 <= share <= 1.0)


def _enters(first: Ring, second: Ring) -> bool:
    """Whether some stretch of the first ring's outline runs inside the second."""
    for a, b in edges(first):
        cuts = _cuts(a, b, second)
        for low, high in pairwise(cuts):
            if high - low > _TINY:
                share = (low + high) / 2
                middle = (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))
                if _strictly_in(second, middle):
                    return True
    return False


def inner_point(ring: Ring) -> Point:
    """Some point inside the ring: the middle of the widest stretch on a line across it."""
    heights = sorted({y for _, y in ring})
    y = max(pairwise(heights), key=lambda pair: pair[1] - pair[0])
    middle = (y[0] + y[1]) / 2
    crossings = sorted(
        a[0] + (middle - a[1]) * (b[0] - a[0]) / (b[1] - a[1])
        for a, b in edges(ring)
        if (a[1] <= middle) != (b[1] <= middle)
    )
    spans = list(zip(crossings[::2], crossings[1::2], strict=False))
    west, east = max(spans, key=lambda span: span[1] - span[0])
    return (west + east) / 2, middle


def overlap(first: Ring, second: Ring) -> bool:
    """Whether two rings share more than an outline."""
    w1, s1, e1, n1 = box_of(first)
    w2, s2, e2, n2 = box_of(second)
    if w1 >= e2 or w2 >= e1 or s1 >= n2 or s2 >= n1:
        return False
    return (
        _enters(first, second)
        or _enters(second, first)
        or _strictly_in(second, inner_point(first))  # the very same outline
    )


def problem_with(ring: Ring) -> str | None:
    """Why a ring cannot be an area, with the remedy, or None."""
    if len(ring) < 3 or len(set(ring)) != len(ring):
        return "needs at least three different points, none twice; give each [lon, lat] once"
    if len(ring) > MOST_POINTS:
        return f"has {len(ring)} points; at most {MOST_POINTS} are allowed"
    if any(not (-180 <= x <= 180 and -90 <= y <= 90) for x, y in ring):
        return "a point is outside the globe; each is [lon, lat] with -180..180 and -90..90"
    west, south, east, north = box_of(ring)
    if east - west > MOST_DEGREES or north - south > MOST_DEGREES:
        return (
            f"is more than {MOST_DEGREES:g} degrees wide; areas are small, and one across the "
            "antimeridian is written as two"
        )
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in edges(ring)) / 2
    if abs(area) < 1e-10:
        return "encloses nothing"
    sides = list(edges(ring))
    for i, (a, b) in enumerate(sides):
        for j in range(i + 2, len(sides)):
            if i == 0 and j == len(sides) - 1:
                continue
            c, d = sides[j]
            crossing = (_side(a, b, c) > 0) != (_side(a, b, d) > 0) and (_side(c, d, a) > 0) != (
                _side(c, d, b) > 0
            )
            if crossing or _on_edge(a, b, c) or _on_edge(a, b, d):
                return f"crosses itself between points {i} and {j}; order the points around it"
    return None
