"""Settings: what is read, what overlays it, and what a problem says."""

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from bailiwick.runtime.settings import SettingsError, read, secret


class Gateway(msgspec.Struct, frozen=True):
    name: str
    priority: int = 10


class Pool(msgspec.Struct, frozen=True):
    lanes: int = 2


class Settings(msgspec.Struct, frozen=True):
    listen: str
    capacity: int = 256
    ratio: float = 0.5
    verbose: bool = False
    mode: Literal["test", "live"] = "test"
    places: list[str] = []
    limit: int | None = None
    pool: Pool = Pool()
    gateways: list[Gateway] = []


def load(folder: Path, text: str, **environ: str) -> Settings:
    file = folder / "node.toml"
    file.write_text(text)
    return read(file, Settings, environ={f"BAILIWICK_{k}": v for k, v in environ.items()})


def test_file_and_defaults(tmp_path: Path) -> None:
    found = load(tmp_path, 'listen = "a:1"\n[[gateways]]\nname = "x"\n')
    assert found == Settings(listen="a:1", gateways=[Gateway("x")])


def test_environment_overlays_every_type(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        'listen = "a:1"\ncapacity = 1\n',
        LISTEN="b:2",
        CAPACITY="8",
        RATIO="0.25",
        VERBOSE="true",
        PLACES='["IN", "PK"]',
        LIMIT="3",
        POOL__LANES="4",
        UNRELATED="left alone",
    )
    assert found == Settings("b:2", 8, 0.25, True, "test", ["IN", "PK"], 3, Pool(4))


def test_environment_can_give_a_required_field(tmp_path: Path) -> None:
    assert load(tmp_path, "", LISTEN="c:3").listen == "c:3"


@pytest.mark.parametrize(
    ("text", "environ", "parts"),
    [
        ("", {}, ["node.toml", "listen", "missing", "add it"]),
        ("listen = 5", {}, ["node.toml", "listen", "expected str"]),
        ('listen = "a"\ncapacty = 5', {}, ["capacty", "did you mean capacity?"]),
        ('listen = "a"\n[[gateways]]\nname="x"\nprio=5', {}, ["gateways[0].prio"]),
        ('listen = "a"\n[[gateways]]\npriority=5', {}, ["gateways[0].name", "missing"]),
        ('listen = "a"\nmode = "fast"', {}, ["mode", "fast"]),
        ('listen = "a"', {"CAPACITY": "many"}, ["BAILIWICK_CAPACITY", "capacity", "int"]),
        ('listen = "a"', {"POOL__LANES": "x"}, ["BAILIWICK_POOL__LANES", "pool.lanes"]),
        ("listen = \n", {}, ["node.toml", "not valid TOML", "line 1"]),
    ],
)
def test_problems_name_file_field_and_remedy(
    tmp_path: Path, text: str, environ: dict[str, str], parts: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text, **environ)
    for part in parts:
        assert part in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no\.toml: cannot be read"):
        read(tmp_path / "no.toml", Settings, environ={})


def test_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "from-env")
    (tmp_path / "key").write_text("from-file\n")
    assert secret("env:THE_KEY", base=tmp_path, field="k") == "from-env"
    assert secret("file:key", base=tmp_path, field="k") == "from-file"
    assert secret("plain:abc:d", base=tmp_path, field="k", plain=True) == "abc:d"


@pytest.mark.parametrize("reference", ["env:NOT_THERE", "file:none", "plain:hunter2", "hunter2"])
def test_unusable_secret_is_named_but_not_shown(tmp_path: Path, reference: str) -> None:
    with pytest.raises(SettingsError, match=r"gateways\[0\]\.key") as caught:
        secret(reference, base=tmp_path, field="gateways[0].key")
    assert "hunter2" not in str(caught.value)
