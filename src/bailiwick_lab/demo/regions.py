"""The demo's regions: which places each is home to, and its sandbox providers. Data alone."""

from __future__ import annotations

from typing import Final

import msgspec


class Provider(msgspec.Struct, frozen=True):
    """A sandbox provider and the gateway to it."""

    name: str
    title: str
    kind: str
    priority: int
    cost_bps: int
    cost_fixed: int = 0
    currencies: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("card",)


class Region(msgspec.Struct, frozen=True):
    """A node of the demo. `places` it is home to; `without`: the region that stands in."""

    number: int
    name: str
    title: str
    places: tuple[str, ...]
    providers: tuple[Provider, ...]
    without: str = ""


# With the parts of Finland and France that have codes of their own and are in the Union.
_EEA = (
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK "
    "AX GF GP MF MQ RE YT"
).split()
GROUPS: Final[dict[str, list[str]]] = {
    "eea": _EEA,
    "asia-pacific": (
        "AF BD BN BT CN HK ID JP KG KH KR KZ LA LK MM MN MO MV MY NP PH PK SG TH TJ TL TM TW UZ VN"
    ).split(),
    "oceania": "AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PW SB TK TO TV VU WF WS".split(),
    "americas": (
        "AG AI AR AW BB BL BM BO BQ BR BS BZ CA CL CO CR CU CW DM DO EC FK GD GL GT GY HN HT "
        "JM KN KY LC MS MX NI PA PE PM PR PY SR SV SX TC TT US UY VC VE VG VI"
    ).split(),
    "middle-east": "AE BH IL IQ IR JO KW LB OM PS QA SA SY TR YE".split(),
    "africa": (
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG "
        "ML MR MU MW MZ NA NE NG RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG ZA ZM ZW"
    ).split(),
}

REGIONS: Final[tuple[Region, ...]] = (
    Region(1, "apac", "Asia-Pacific", ("IN", "group:asia-pacific"), (
        Provider("mumbai-bank", "Mumbai Bank", "large_domestic_bank", 10, 120,
                 methods=("card", "upi", "paynow", "qris")),
        Provider("pune-cooperative", "Pune Cooperative", "small_domestic_bank", 20, 90,
                 currencies=("INR",), methods=("card", "upi", "bank_transfer")),
        Provider("straits-wallet", "Straits Wallet", "foreign_platform", 30, 210, 10,
                 methods=("card", "wallet", "alipay", "wechat_pay", "unionpay")),
    )),
    Region(2, "europe", "Europe", ("group:eea", "default"), (
        Provider("rhein-bank", "Rhein Bank", "large_domestic_bank", 10, 80, 5,
                 methods=("card", "bank_transfer", "ideal", "blik")),
        Provider("isar-pay", "Isar Pay", "domestic_platform", 20, 60, currencies=("EUR",),
                 methods=("card", "wallet", "paypal")),
        Provider("alpen-bank", "Alpen Bank", "foreign_bank", 30, 140,
                 methods=("card", "alipay", "wechat_pay")),
    )),
    Region(3, "americas", "Americas", ("group:americas",), (
        Provider("paulista-bank", "Paulista Bank", "large_domestic_bank", 10, 110,
                 methods=("card", "bank_transfer", "boleto", "oxxo")),
        Provider("ipanema-pay", "Ipanema Pay", "domestic_platform", 20, 70, currencies=("BRL",),
                 methods=("card", "pix")),
        Provider("northern-wallet", "Northern Wallet", "foreign_platform", 30, 190, 30,
                 methods=("card", "wallet", "paypal")),
    ), "europe"),
    Region(4, "africa", "Africa", ("group:africa",), (
        Provider("nairobi-bank", "Nairobi Bank", "large_domestic_bank", 10, 100),
        Provider("savanna-pay", "Savanna Pay", "domestic_platform", 20, 80,
                 methods=("card", "wallet", "mpesa")),
    ), "europe"),
    Region(5, "middle-east", "Middle East", ("group:middle-east",), (
        Provider("gulf-bank", "Gulf Bank", "large_domestic_bank", 10, 95),
        Provider("dune-pay", "Dune Pay", "foreign_platform", 20, 180,
                 methods=("card", "wallet")),
    ), "europe"),
    Region(6, "oceania", "Oceania", ("group:oceania",), (
        Provider("sydney-bank", "Sydney Bank", "large_domestic_bank", 10, 85,
                 methods=("card", "bank_transfer")),
        Provider("reef-pay", "Reef Pay", "domestic_platform", 20, 65,
                 methods=("card", "wallet")),
    ), "apac"),
)  # fmt: skip

RESIDENCY: Final[dict[str, str]] = {"IN": "strict", "group:eea": "prefer"}
"""Home region's word for a place: strict never leaves its nodes; the others are free."""
