"""Which place a point lies in: ray casting in borders clipped to 1-degree cells.

Pure: works on the bytes of the compiled file (``data/borders.bin``, made by
``tools/compile_borders.py``). A cell that no border crosses answers with one list look-up; in
the others a ray towards the east meets only the cell's own edges. Source and licence:
``data/SOURCES.md``.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from array import array
from typing import Final

_MAGIC: Final = b"BWB1"
_SCALE: Final = 10_000_000  # edges are integers of 1e-7 degree
_CELLS: Final = 360 * 180
_MIXED: Final = 0xFFFF


class Borders:
    """The compiled borders; immutable, a few megabytes."""

    __slots__ = ("_cells", "_edge_first", "_edges", "_first_piece", "_piece_place", "places")

    places: tuple[str, ...]

    def __init__(
        self,
        places: tuple[str, ...],
        cells: array[int],
        first_piece: array[int],
        piece_place: array[int],
        edge_first: array[int],
        edges: tuple[array[int], array[int], array[int], array[int]],
    ) -> None:
        self.places = places
        self._piece_place = piece_place
        self._edge_first = edge_first
        self._edges = edges
        # One place per cell (None: sea), or the number of the mixed cell's first piece.
        self._cells: list[str | int | None] = [None] * _CELLS
        self._first_piece: dict[int, int] = {}
        mixed = 0
        for index, value in enumerate(cells):
            if value == _MIXED:
                first, after = first_piece[mixed], first_piece[mixed + 1]
                self._cells[index] = first
                self._first_piece[first] = after
                mixed += 1
            elif value:
                self._cells[index] = places[value - 1]

    @classmethod
    def from_bytes(cls, data: bytes) -> Borders:
        """Read a compiled file. Raises ValueError when it is not one or is cut short."""
        if data[:4] != _MAGIC:
            raise ValueError("not a compiled border file")
        (size,) = struct.unpack_from("<I", data, 4)
        header = json.loads(data[8 : 8 + size])
        body = memoryview(zlib.decompress(data[8 + size :]))
        mixed, pieces, edges = header["mixed"], header["pieces"], header["edges"]
        layout = [("H", _CELLS), ("I", mixed + 1), ("H", pieces), ("I", pieces + 1)]
        layout += [("i", edges)] * 4
        arrays: list[array[int]] = []
        start = 0
        for code, count in layout:
            item: array[int] = array(code)
            item.frombytes(body[start : start + count * item.itemsize])
            if sys.byteorder == "big":
                item.byteswap()
            if len(item) != count:
                raise ValueError("the compiled border file is cut short")
            start += count * item.itemsize
            arrays.append(item)
        cells, first_piece, place, edge_first, y_low, y_high, x_low, x_high = arrays
        return cls(
            tuple(header["places"]),
            cells,
            first_piece,
            place,
            edge_first,
            (y_low, y_high, x_low, x_high),
        )

    def place_at(self, lat: float, lon: float) -> str | None:
        """The place at a point in degrees, None on the open sea.

        The caller has checked -90 <= lat <= 90 and -180 <= lon <= 180. On the antimeridian the
        eastern side is asked first, then the western: they are the same meridian.
        """
        if lon >= 180.0:
            lon = -180.0
        row = min(int(lat + 90.0), 179)  # the north pole belongs to the last row
        column = min(int(lon + 180.0), 359)  # just under 180 may round up when shifted
        found = self._cells[row * 360 + column]
        if isinstance(found, int):
            # Shifting may have rounded a point just below a cell's floor into the cell.
            y = max(lat * _SCALE, (row - 90) * _SCALE)
            found = self._cast(found, y, lon * _SCALE)
        if found is None and lon == -180.0:
            return self.place_at(lat, 180.0 - 1e-7)
        return found

    def _cast(self, first: int, y: float, x: float) -> str | None:
        """Ray casting over the pieces of a mixed cell, smallest feature first."""
        edge_first = self._edge_first
        y_low, y_high, x_low, x_high = self._edges
        for piece in range(first, self._first_piece[first]):
            start, end = edge_first[piece], edge_first[piece + 1]
            inside = False
            for low, high, x1, x2 in zip(
                y_low[start:end],
                y_high[start:end],
                x_low[start:end],
                x_high[start:end],
                strict=True,
            ):
                # Half-open in y: a vertex shared by two edges is met once.
                if low <= y < high and x < x1 + (y - low) * (x2 - x1) / (high - low):
                    inside = not inside
            if inside:
                return self.places[self._piece_place[piece]]
        return None
