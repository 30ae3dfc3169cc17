"""Build-time tool: freeze country and subdivision codes into ``src/bailiwick/data/places.json``.

    npm pack @rapideditor/country-coder@5.6.1 cldr-core@48.2.0, then unpack each
    python tools/compile_places.py country-coder/package cldr-core/package

Countries and their English names: country-coder (ISC). Subdivision codes and their withdrawn
forms: Unicode CLDR (Unicode-3.0). Only codes are taken for subdivisions, no names.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parent.parent / "src" / "bailiwick" / "data" / "places.json"

# Subdivisions that ISO 3166-1 also lists as places of their own and CLDR does not alias.
ALSO_PLACES = {
    "CN-HK": "HK", "CN-MO": "MO", "CN-TW": "TW",
    "FR-971": "GP", "FR-972": "MQ", "FR-973": "GF", "FR-974": "RE", "FR-976": "YT",
    "NL-BQ1": "BQ", "NL-BQ2": "BQ", "NL-BQ3": "BQ", "NO-21": "SJ", "NO-22": "SJ",
}  # fmt: skip
# Codes that people write and ISO 3166-1 does not assign, with what they mean.
COMMON_MISTAKES = {"UK": "GB", "EL": "GR", "KV": "XK", "SF": "FI", "YU": "RS", "TP": "TL"}
# What coordinates in a feature of its own mean while the deployer says nothing; null: refused
# until [overrides] decides.
OWN_FEATURES = {
    "akrotiri-and-dhekelia": "GB",
    "bir-tawil": None,
    "crimea": None,
    "gaza-strip": "PS",
    "northern-cyprus": None,
    "west-bank": "PS",
}


def dashed(code: str) -> str:
    """CLDR's "usca" as ISO's "US-CA"."""
    return f"{code[:2].upper()}-{code[2:].upper()}"


def countries(borders: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Officially assigned codes and XK with English names; alpha-3 to alpha-2."""
    names, alpha3 = {}, {}
    for feature in json.loads(borders.read_bytes())["features"]:
        properties = feature["properties"]
        code = properties.get("iso1A2")
        if code and (not properties.get("isoStatus") or code == "XK"):
            names[code] = properties["nameEn"]
            if "iso1A3" in properties:
                alpha3[properties["iso1A3"]] = code
    return dict(sorted(names.items())), dict(sorted(alpha3.items()))


def supplemental(cldr: Path, name: str) -> Any:
    return json.loads((cldr / "supplemental" / f"{name}.json").read_bytes())["supplemental"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("country_coder", type=Path)
    parser.add_argument("cldr_core", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    names, alpha3 = countries(args.country_coder / "src" / "data" / "borders.json")
    containment = supplemental(args.cldr_core, "subdivisionContainment")["subdivisionContainment"]
    aliases = supplemental(args.cldr_core, "aliases")["metadata"]["alias"]["subdivisionAlias"]
    codes = {dashed(child) for entry in containment.values() for child in entry["_contains"]}
    same, withdrawn = dict(ALSO_PLACES), {}
    for old, alias in aliases.items():
        new = alias["_replacement"]
        if len(new) == 2 and dashed(old) in codes:
            if new in names:
                same[dashed(old)] = new
        elif len(new) > 2 and dashed(old) not in codes:
            withdrawn[dashed(old)] = [dashed(part) for part in new.split()]
    assert set(same) <= codes
    assert set(same.values()) <= set(names)
    by_country: dict[str, list[str]] = {}
    for code in sorted(codes):
        by_country.setdefault(code[:2], []).append(code[3:])
    document = {
        "sources": "see SOURCES.md",
        "countries": names,
        "alpha3": alpha3,
        "mistakes": {k: v for k, v in COMMON_MISTAKES.items() if k not in names},
        "features": OWN_FEATURES,
        "subdivisions": {country: " ".join(part) for country, part in by_country.items()},
        "same_as_country": dict(sorted(same.items())),
        "withdrawn": dict(sorted(withdrawn.items())),
    }
    args.out.write_text(json.dumps(document, ensure_ascii=False, indent=0) + "\n")
    print(f"{args.out.name}: {len(names)} countries, {len(codes)} subdivisions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
