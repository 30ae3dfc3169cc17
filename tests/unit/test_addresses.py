"""Where webhooks may not go, in all the ways of writing it."""

import pytest

from bailiwick.delivery.addresses import allowed_url, public_address
from bailiwick.delivery.special_purpose import IPV4, IPV6, SPECIAL_IPV4, SPECIAL_IPV6

PRIVATE = """
127.0.0.1 127.255.255.254 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254
169.254.170.2 100.64.0.1 100.100.100.200 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1
224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
::1 :: fe80::1 fe80::1%lo fc00::1 fd00:ec2::254 ff02::1 ff0e::1 2001:db8::1
::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:169.254.169.254 ::127.0.0.1
2002:7f00:1:: 2002:a9fe:a9fe:: 2002:a00:1::1 2002:c0a8:101::
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::7f00:1 64:ff9b:1::808:808
2001:0:4136:e378:8000:63bf:3fff:fdd2
192.0.0.192 192.0.0.9 192.0.0.10 168.63.129.16 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1
0.1.2.3 169.254.0.1 198.19.255.255 223.255.255.255.0 255.255.255.254
fec0::1 feff::1 3fff::1 3fff:fff:ffff::1 5f00::1 100::1 100:0:0:1::1 2620:4f:8000::1
2001:1::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:30::1 2001:1ff:ffff::1
::8.8.8.8 ::ffff:0:8.8.8.8 ::1:0:0 4000::1 8000::1 200::1 e000::1 0:8::1
::ffff:168.63.129.16 ::ffff:192.0.0.192 64:ff9b::c000:c0 2002:a83f:8110::1
2606:4700::5efe:127.0.0.1 2606:4700::200:5efe:10.0.0.1 2606:4700::5efe:a9fe:a9fe
fe80::5efe:8.8.8.8 2606:4700:4700::1111%eth0
""".split()
PUBLIC = """
8.8.8.8 1.1.1.1 93.184.216.34 2606:4700:4700::1111 2001:4860:4860::8888 ::ffff:8.8.8.8
2002:808:808::1 64:ff9b::808:808 2606:4700::5efe:8.8.8.8 2001:200::1 2400::1 3ffe::1
168.63.129.15 192.0.1.1 172.32.0.1 100.128.0.1 198.20.0.1 223.255.255.255
""".split()
NOT_ADDRESSES = ["2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "", "localhost",
                 "127.0.0.1.",
                 "08.8.8.8", "0x8.8.8.8", "8.8.2056", "8.8.8.8 ", "8.8.8.8/32",
                 "１２７.0.0.1", "127.0.0。1", "[::1]"]  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE + NOT_ADDRESSES)
def test_not_public(text: str) -> None:
    assert not public_address(text)


def test_the_tables_are_networks_and_nothing_of_them_is_public() -> None:
    for network in (*SPECIAL_IPV4, *SPECIAL_IPV6):
        for address in (network[0], network[-1]):
            assert not public_address(str(address)), network
    assert len(SPECIAL_IPV4) == len(IPV4) and len(SPECIAL_IPV6) == len(IPV6)


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert public_address(text)


@pytest.mark.parametrize(
    "url",
    [f"https://[{each}]/hook" if ":" in each else f"https://{each}/hook"
     for each in PRIVATE if "%" not in each],
)  # fmt: skip
def test_private_addresses_are_refused_as_written(url: str) -> None:
    assert allowed_url(url, private=False) is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://x.com/",
        "https://", "https:///x", "example.com", "//example.com", "", "https://user@example.com/",
        "https://user:pw@example.com/", "https://:pw@example.com/", "https://8.8.8.8@127.0.0.1/",
        "https://example.com:0/", "https://example.com:99999/", "https://example.com:x/",
        "https://localhost/", "https://localhost:5432/", "https://metadata/", "https://db/",
        "https://2130706433/", "https://127.1/", "https://0/", "https://127.0.0.1./",
        "https://0177.0.0.1/", "https://00000127.0.0.1/",
        # Other digits and dots that IDNA turns into an address: the connector would take it
        # for one and ask no resolver.
        "https://１２７.0.0.1/", "https://127.0.0。1/", "https://169.254.169。254/latest",
        "https://①②⑦.0.0.1/", "https://127.0.0.1。/", "https://exämple.com/",
        "https://127.0.0%2e1/", "https://127.0.0.1%00.example.com/", "https://a.b%2f/",
        "https://exa mple.com/", "https://example.com\\@127.0.0.1/", "https://-.com/",
        "https://[::1", "https://[fe80::1%25lo]/", "https://[2606:4700:4700::1111%25eth0]/",
        # Decimal, octal and hexadecimal spellings, short ones, and other ends in a number.
        "https://0x7f.0.0.1/", "https://0x7f.1/", "https://127.0.0.0x1/", "https://0x7f000001/",
        "https://a.0x7f000001/", "https://017700000001/", "https://0300.0250.0.1/",
        "https://8.8.8.08/", "https://8.8.2056/", "https://134744072/", "https://a.b.1/",
        "https://1.2.3.4.5/", "https://256.0.0.1/", "https://8.8.8.8./",
        "https://example.com./", "https://.example.com/", "https://a..example.com/",
        "https://@example.com/", "https://:@example.com/", "https://a@b@example.com/",
        "https://exam\nple.com/", "https://127.0.0.1\t/", "\x00https://example.com/",
        "https://example.com/a b", "https://example.com/\\x", "https:\\\\example.com/",
        "https:example.com", "https:///example.com/", "https://example.com:-1/",
        "https://printer.local/", "https://db.internal/", "https://x.localhost/",
        "https://metadata.google.internal/", "https://router.home.arpa/", "https://a.onion/",
        f"https://{'a' * 64}.example.com/", f"https://{'a.' * 126}example.com/",
        "https://[::ffff:10.0.0.1]/", "https://[fec0::1]/", "https://[::127.0.0.1]/",
        "https://[v1.x]/", "https://[]/",
    ],
)  # fmt: skip
def test_refused(url: str) -> None:
    assert allowed_url(url, private=False) is not None


@pytest.mark.parametrize(
    "url",
    ["https://example.com/hook", "https://Example.COM:8443/a?b=c#d", "https://8.8.8.8/",
     "https://[2606:4700:4700::1111]/", "https://xn--exmple-cua.com/", "https://a-b.example.co/x",
     "https://hooks_1.example.com/", "https://example.com/%20?q=%00", "https://1e100.net/",
     "https://a.0xyz/", "https://[::ffff:8.8.8.8]/", "https://3.example.com:443/"],
)  # fmt: skip
def test_allowed(url: str) -> None:
    assert allowed_url(url, private=False) is None


def test_tests_and_the_demo_may_go_to_this_machine() -> None:
    assert allowed_url("http://127.0.0.1:8080/hook", private=True) is None
    assert allowed_url("ftp://127.0.0.1/", private=True) is not None
