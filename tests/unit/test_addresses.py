"""Where webhooks may not go, in all the ways of writing it."""

import asyncio
import socket

import pytest

from bailiwick.node.addresses import GuardedResolver, allowed_url, public_address

PRIVATE = """
127.0.0.1 127.255.255.254 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254
169.254.170.2 100.64.0.1 100.100.100.200 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1
224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
::1 :: fe80::1 fe80::1%lo fc00::1 fd00:ec2::254 ff02::1 ff0e::1 2001:db8::1
::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:169.254.169.254 ::127.0.0.1
2002:7f00:1:: 2002:a9fe:a9fe:: 2002:a00:1::1 2002:c0a8:101::
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::7f00:1 64:ff9b:1::808:808
2001:0:4136:e378:8000:63bf:3fff:fdd2
""".split()
PUBLIC = """
8.8.8.8 1.1.1.1 93.184.216.34 2606:4700:4700::1111 2001:4860:4860::8888 ::ffff:8.8.8.8
2002:808:808::1 64:ff9b::808:808
""".split()
NOT_ADDRESSES = ["2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "", "localhost",
                 "127.0.0.1.", "１２７.0.0.1", "127.0.0。1", "[::1]"]  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE + NOT_ADDRESSES)
def test_not_public(text: str) -> None:
    assert not public_address(text)


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
        "https://[::1", "https://[fe80::1%25lo]/",
    ],
)  # fmt: skip
def test_refused(url: str) -> None:
    assert allowed_url(url, private=False) is not None


@pytest.mark.parametrize(
    "url",
    ["https://example.com/hook", "https://Example.COM:8443/a?b=c#d", "https://8.8.8.8/",
     "https://[2606:4700:4700::1111]/", "https://xn--exmple-cua.com/", "https://a-b.example.co/x",
     "https://hooks_1.example.com/"],
)  # fmt: skip
def test_allowed(url: str) -> None:
    assert allowed_url(url, private=False) is None


def test_tests_and_the_demo_may_go_to_this_machine() -> None:
    assert allowed_url("http://127.0.0.1:8080/hook", private=True) is None
    assert allowed_url("ftp://127.0.0.1/", private=True) is not None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "2002:7f00:1::"])
async def test_a_name_that_leads_inside_is_not_followed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: every address is checked, and the checked one is the one connected to."""

    async def leads(*_: object, **__: object) -> list[object]:
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))
        return [good, (kind, socket.SOCK_STREAM, 6, "", (address, 443))]

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", leads, raising=False)
    with pytest.raises(OSError, match="not public"):
        await GuardedResolver(False).resolve("rebound.example.com", 443)
    found = await GuardedResolver(True).resolve("rebound.example.com", 443)
    assert [each["host"] for each in found] == ["8.8.8.8", address]


@pytest.mark.parametrize("host", ["0x7f.0.0.1", "0x7f000001", "017700000001"])
async def test_numbers_that_only_the_system_reads_as_addresses(host: str) -> None:
    with pytest.raises(OSError):
        await GuardedResolver(False).resolve(host, 443)
