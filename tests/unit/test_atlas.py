"""The compiled borders, IP data and places, on points and addresses that are easy to get wrong."""

import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bailiwick.geo import atlas as atlas_module
from bailiwick.geo.atlas import why_unknown
from bailiwick.geo.borders import Borders
from bailiwick.geo.places import load_places
from tests.mmdb import mapping, string, write_mmdb

ATLAS = atlas_module.load()

AWKWARD = [
    ("Kaliningrad", 54.71, 20.51, "RU"),
    ("Hong Kong", 22.30, 114.17, "HK"),
    ("Shenzhen", 22.55, 114.10, "CN"),
    ("Macau", 22.19, 113.54, "MO"),
    ("San Juan, Puerto Rico", 18.45, -66.07, "PR"),
    ("Ceuta", 35.889, -5.316, "ES"),
    ("Melilla", 35.292, -2.938, "ES"),
    ("Tenerife", 28.47, -16.25, "ES"),
    ("Palma", 39.57, 2.65, "ES"),
    ("Baarle-Hertog", 51.4394, 4.9314, "BE"),
    ("Breda", 51.589, 4.776, "NL"),
    ("Cayenne", 4.92, -52.31, "GF"),
    ("Paris", 48.857, 2.352, "FR"),
    ("Ajaccio", 41.927, 8.737, "FR"),
    ("Saint-Denis, Reunion", -20.88, 55.45, "RE"),
    ("Mamoudzou", -12.78, 45.23, "YT"),
    ("Noumea", -22.27, 166.46, "NC"),
    ("Pristina", 42.66, 21.16, "XK"),
    ("Belgrade", 44.79, 20.45, "RS"),
    ("Vatican", 41.9022, 12.4533, "VA"),
    ("Rome", 41.89, 12.50, "IT"),
    ("San Marino", 43.936, 12.447, "SM"),
    ("Campione d'Italia", 45.969, 8.971, "IT"),
    ("Busingen", 47.697, 8.690, "DE"),
    ("Basel", 47.5596, 7.5886, "CH"),
    ("Saint-Louis", 47.59, 7.56, "FR"),
    ("Monaco", 43.738, 7.424, "MC"),
    ("Gibraltar", 36.14, -5.353, "GI"),
    ("Longyearbyen", 78.22, 15.65, "SJ"),
    ("Oslo", 59.91, 10.75, "NO"),
    ("Torshavn", 62.01, -6.77, "FO"),
    ("Nuuk", 64.18, -51.72, "GL"),
    ("Mariehamn", 60.10, 19.94, "AX"),
    ("Douglas, Isle of Man", 54.15, -4.48, "IM"),
    ("Belfast", 54.597, -5.93, "GB"),
    ("Londonderry", 54.997, -7.31, "GB"),
    ("Dublin", 53.35, -6.26, "IE"),
    ("Munich", 48.137, 11.575, "DE"),
    ("Mumbai", 19.076, 72.877, "IN"),
    ("Port Blair", 11.67, 92.74, "IN"),
    ("Sao Paulo", -23.55, -46.63, "BR"),
    ("Singapore", 1.29, 103.85, "SG"),
    ("Johor Bahru", 1.4655, 103.7578, "MY"),
    ("Maseru", -29.31, 27.48, "LS"),
    ("Honolulu", 21.31, -157.86, "US"),
    ("Anchorage", 61.22, -149.90, "US"),
    ("Point Roberts", 48.985, -123.06, "US"),
    ("Vancouver", 49.26, -123.11, "CA"),
    ("Saint Pierre", 46.78, -56.18, "PM"),
    ("Nicosia, south", 35.15, 33.36, "CY"),
    ("Kyrenia", 35.33, 33.32, "northern-cyprus"),
    ("Simferopol", 44.95, 34.10, "crimea"),
    ("Kherson", 46.64, 32.61, "UA"),
    ("Ramallah", 31.90, 35.20, "west-bank"),
    ("Gaza", 31.51, 34.46, "gaza-strip"),
    ("Laayoune, as administered", 27.15, -13.20, "MA"),
    ("Tifariti, Western Sahara", 26.158, -10.567, "EH"),
    ("Katzrin, Golan, as administered", 32.99, 35.69, "IL"),
    ("Taipei", 25.03, 121.56, "TW"),
    ("Hanoi", 21.03, 105.85, "VN"),
    ("Taveuni, Fiji, west of 180", -16.80, 179.99, "FJ"),
    ("Fiji at 180", -16.80, 180.0, "FJ"),
    ("Fiji at -180", -16.80, -180.0, "FJ"),
    ("Wrangel Island at 180", 71.2, 180.0, "RU"),
    ("Kralendijk", 12.15, -68.27, "BQ"),
    ("Jamestown, Saint Helena", -15.92, -5.72, "SH"),
    ("Tristan da Cunha", -37.07, -12.31, "SH"),
    ("South Pole", -90.0, 0.0, "AQ"),
    ("North Pole", 90.0, 0.0, None),
    ("mid-Atlantic", 30.0, -40.0, None),
    ("null island", 0.0, 0.0, None),
    ("mid-Pacific at 180", 10.0, 180.0, None),
]


@pytest.mark.parametrize(("name", "lat", "lon", "place"), AWKWARD, ids=[row[0] for row in AWKWARD])
def test_awkward_point(name: str, lat: float, lon: float, place: str | None) -> None:
    assert ATLAS.country_at(lat, lon) == place, name


@given(st.floats(-90, 90, allow_nan=False), st.floats(-180, 180, allow_nan=False))
@example(-90.0, -180.0)
@example(90.0, 180.0)
@example(-0.0, -0.0)
@example(-5e-324, 5e-324)
def test_every_point_on_the_globe_has_an_answer(lat: float, lon: float) -> None:
    found = ATLAS.country_at(lat, lon)
    places = ATLAS.places
    assert found is None or found in places.countries or found in places.features


@given(st.floats(-90, 90, allow_nan=False))
def test_the_antimeridian_is_one_line(lat: float) -> None:
    assert ATLAS.country_at(lat, 180.0) == ATLAS.country_at(lat, -180.0)


@given(st.integers(-17, 5), st.integers(13, 30), st.floats(0, 1))
def test_cell_edges_leave_no_gap_inland(lat: int, lon: int, share: float) -> None:
    """Points on the grid lines of inland Africa always lie in some country."""
    assert ATLAS.country_at(float(lat), lon + share) is not None
    assert ATLAS.country_at(lat + share, float(lon)) is not None


def test_just_below_a_cell_floor_is_no_gap() -> None:
    # -1e-17 + 90 rounds up to 90: the point is shifted into the next cell's row.
    assert ATLAS.country_at(-1e-17, 10.0) == ATLAS.country_at(0.0, 10.0) == "GA"
    assert ATLAS.country_at(51.0, -1e-17) == ATLAS.country_at(51.0, 0.0) == "GB"


@pytest.mark.parametrize("point", [(90.1, 0.0), (0.0, 180.1), (float("nan"), 0.0), (-91.0, 0.0)])
def test_off_the_globe_is_refused(point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="latitude"):
        ATLAS.country_at(*point)


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("8.8.8.8", "US"),
        ("49.36.0.1", "IN"),
        ("2001:4860:4860::8888", "US"),
        ("::ffff:49.36.0.1", "IN"),
        ("2002:3124:0001::1", "IN"),
        ("10.1.2.3", None),
        ("::1", None),
    ],
)
def test_built_in_ip_data(address: str, country: str | None) -> None:
    assert ATLAS.country_of_ip(address) == country


@pytest.mark.parametrize("text", ["", "junk", "1.2.3", "01.2.3.4", "fe80::1%eth0", "1.2.3.4:80"])
def test_not_an_address(text: str) -> None:
    with pytest.raises(ValueError):
        ATLAS.country_of_ip(text)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("169.254.0.1", "link-local"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("0.0.0.0", "unspecified"),
        ("100.64.0.1", "not in the IP data"),
    ],
)
def test_why_an_address_is_unknown(address: str, words: str) -> None:
    assert words in why_unknown(address)


def test_the_operators_file_is_asked_first(tmp_path: Path) -> None:
    file = tmp_path / "operator.mmdb"
    write_mmdb(
        file,
        {
            "8.8.8.0/24": {"country": mapping({"iso_code": string("DE")})},
            "10.0.0.0/8": {"country": string("IN")},
            "2001:db8::/32": {"country_code": string("br")},
            "9.9.9.0/24": {"country": string("EU")},
        },
    )
    atlas = atlas_module.load(file)
    assert atlas.country_of_ip("8.8.8.8") == "DE"
    assert atlas.country_of_ip("10.1.2.3") == "IN"  # the operator may know its own networks
    assert atlas.country_of_ip("2001:db8::1") == "BR"
    assert atlas.country_of_ip("9.9.9.9") == ATLAS.country_of_ip("9.9.9.9")  # EU is no place
    assert atlas.country_of_ip("49.36.0.1") == "IN"  # not in the file: built-in data
    assert atlas.digest != ATLAS.digest


def test_a_bad_operators_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.mmdb"
    file.write_bytes(b"not a database")
    with pytest.raises(ValueError, match=r"broken\.mmdb"):
        atlas_module.load(file)
    with pytest.raises(ValueError, match="missing"):
        atlas_module.load(tmp_path / "missing.mmdb")


def test_digest_is_stable() -> None:
    assert ATLAS.digest.startswith("sha256:")
    assert atlas_module.load().digest == ATLAS.digest


def test_loads_quickly() -> None:
    before = time.process_time()
    atlas_module.load()
    assert (
        time.process_time() - before < 2
    )  # CPU time, about 12 ms of it; the bound guards the order only


def test_a_cut_border_file_is_refused() -> None:
    with pytest.raises(ValueError, match="not a compiled"):
        Borders.from_bytes(b"GIF89a")


def test_places() -> None:
    places = load_places()
    assert len(places.countries) == 250
    assert len(places.subdivisions) == 5046
    assert {"XK", "TW", "AX", "SJ"} <= set(places.countries)
    assert not {"UK", "EU", "FX", "IC", "AN"} & set(places.countries)
    assert set(places.same_as_country.values()) <= set(places.countries)
    assert set(places.features) >= {"crimea", "northern-cyprus"}
    assert all(code[:2] in places.countries for code in places.subdivisions)
    for text, nearest in [("UK", "GB"), ("USA", "US"), ("germany", "DE"), ("Brasil", "BR")]:
        assert places.nearest_country(text) == nearest
    assert "FR-GES" in places.explain_subdivision("FR-A")
