"""Forms and JSON are read strictly and alike; structs are made with errors that help."""

import contextlib
import json
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.wire.forms import parse_body, parse_form, parse_json, struct_from


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"a=1", {"a": "1"}),
        (b"a=", {"a": ""}),
        (b"a", {"a": ""}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=1&&b=2&", {"a": "1", "b": "2"}),
        (b"a=x+y%20z%2B", {"a": "x y z+"}),
        (b"a[b]=1&a[c]=2", {"a": {"b": "1", "c": "2"}}),
        (b"a%5Bb%5D=1&a%5bc%5d=2", {"a": {"b": "1", "c": "2"}}),
        (b"a[b][c][d]=1", {"a": {"b": {"c": {"d": "1"}}}}),
        (b"a[0]=x&a[1]=y", {"a": {"0": "x", "1": "y"}}),
        (b"a[]=x&a[]=y", {"a": {"0": "x", "1": "y"}}),
        (b"a[0][b]=x&a[0][c]=y", {"a": {"0": {"b": "x", "c": "y"}}}),
        ("a=é".encode(), {"a": "é"}),
        (b"a=%C3%A9", {"a": "é"}),
        (b"m[a+b]=1", {"m": {"a b": "1"}}),
    ],
)
def test_forms(body: bytes, expected: dict[str, Any]) -> None:
    assert parse_form(body) == expected


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"a=1&a=1", "a"),
        (b"a[b]=1&a[b]=1", "a[b]"),
        (b"a[b]=1&a%5Bb%5D=2", "a[b]"),
        (b"a=1&a[b]=2", "a[b]"),
        (b"a[b]=2&a=1", "a"),
        (b"a[b]=1&a[b][c]=1", "a[b][c]"),
        (b"a[b][c]=1&a[b]=1", "a[b]"),
        (b"a[]=x&a[0]=y", "a[0]"),
        (b"a[][b]=x", "a[][b]"),
        (b"a[b=1", "a[b"),
        (b"a]b[=1", "a]b["),
        (b"a[b]c=1", "a[b]c"),
        (b"a[[b]]=1", "a[[b]]"),
        (b"[a]=1", "[a]"),
        (b"=1", "(empty)"),
        (b"a[b][c][d][e][f][g]=1", "a[b][c][d][e][f][g]"),
        (b"a=%zz", "a"),
        (b"a=%4", "a"),
        (b"a=%ff", "a"),
        (b"a=\xff", None),
        (b"%ff=1", "a parameter's name"),
        (b"a=x%00y", "a"),
        (b"a=x\0y", "a"),
        (b"a=%ED%A0%80", "a"),
        (b"a=" + b"x" * 5001, "a"),
        (b"x" * 201 + b"=1", "x" * 100),
        (b"x[" + b"y" * 201 + b"]=1", "x[" + "y" * 98),
        (b"&".join(b"f%d=1" % n for n in range(501)), None),
    ],
)
def test_bad_forms_name_the_field(body: bytes, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        parse_form(body)
    assert (caught.value.status, caught.value.param) == (400, param)


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_names = st.text("abcXYZ_019 é+&=%", min_size=1, max_size=8)


@given(st.dictionaries(_names, st.one_of(_texts, st.dictionaries(_names, _texts, min_size=1))))
def test_what_clients_encode_is_read_back(params: dict[str, Any]) -> None:
    pairs = []
    for name, value in params.items():
        for inner, text in value.items() if isinstance(value, dict) else [(None, value)]:
            pairs.append((name if inner is None else f"{name}[{inner}]", text))
    for encode in (urlencode(pairs), urlencode(pairs, quote_via=quote, safe="[]")):
        assert parse_form(encode.encode()) == params


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(body: bytes) -> None:
    for parse in (parse_form, parse_json):
        with contextlib.suppress(ApiError):
            assert isinstance(parse(body), dict)


def test_json() -> None:
    body = {"a": 1, "b": {"c": ["x", {"d": True}]}, "e": None, "f": "é\n"}
    assert parse_json(json.dumps(body).encode()) == body


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"a":1,"a":1}', "a"),
        (b'{"x":{"a":1,"b":2,"a":3}}', "x[a]"),
        (b'{"a":1.5}', "a"),
        (b'{"a":1.0}', "a"),
        (b'{"a":1e400}', "a"),
        (b'{"a":1e3}', "a"),
        (b'{"a":[0,{"b":NaN}]}', "a[1][b]"),
        (b'{"a":-Infinity}', "a"),
        (b'{"a":1234567890123456789012}', "a"),
        (b'{"a":"\\ud800"}', "a"),
        (b'{"a":"x\\u0000"}', "a"),
        (b'{"a\\u0000":1}', "a parameter's name"),
        (b'{"a":{"\\ud800":1}}', "a[...]"),
        (b'{"a[b]":1}', "a parameter's name"),
        (b'{"":1}', "a parameter's name"),
        (b'{"a":"\xff"}', None),
        (b'{"a":1', None),
        (b"[1]", None),
        (b"1.5", None),
        (b'{"a":' * 7 + b"1" + b"}" * 7, "a[a][a][a][a][a]"),
        (b'{"a":' + b"[" * 100_000, None),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
        (b'{"a":"' + b"x" * 5001 + b'"}', "a"),
        (b'{"a":[' + b",".join([b"1"] * 501) + b"]}", None),
    ],
)
def test_bad_json_names_the_field(body: bytes, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        parse_json(body)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_content_types() -> None:
    form = "application/x-www-form-urlencoded"
    assert parse_body(None, b"a=1") == parse_body(form, b"a=1") == {"a": "1"}
    assert parse_body("Application/JSON; charset=utf-8", b'{"a":1}') == {"a": 1}
    assert parse_body("image/png", b"") == {}
    with pytest.raises(ApiError) as caught:
        parse_body("multipart/form-data; boundary=x", b"x")
    assert caught.value.status == 415


class Place(msgspec.Struct, frozen=True):
    country: Annotated[str, Meta(max_length=2)] | None = None
    point: int | None = None


class Create(msgspec.Struct, frozen=True, kw_only=True):
    amount: Annotated[int, Meta(ge=1, le=1000)]
    currency: str
    confirm: bool = False
    mode: Literal["automatic", "manual"] = "automatic"
    location: Place | None = None
    metadata: dict[str, str] = {}
    types: Annotated[list[str], Meta(max_length=3)] = []
    items: list[Place] = []
    note: str | UnsetType | None = UNSET
    token: Annotated[str, Meta(pattern="^pm_")] | None = None


NEEDED = {"amount": "1", "currency": "eur"}


def test_structs_from_forms_and_json_are_the_same() -> None:
    form = (
        b"amount=5&currency=eur&confirm=true&location[country]=DE&metadata[0]=a&metadata[x]=b"
        b"&types[1]=y&types[0]=x&items[0][point]=3&mode=manual&token=pm_1"
    )
    text = (
        b'{"amount":5,"currency":"eur","confirm":true,"location":{"country":"DE"},'
        b'"metadata":{"0":"a","x":"b"},"types":["x","y"],"items":[{"point":3}],'
        b'"mode":"manual","token":"pm_1"}'
    )
    made = struct_from(parse_form(form), Create)
    assert made == struct_from(parse_json(text), Create)
    assert made == Create(
        amount=5,
        currency="eur",
        confirm=True,
        mode="manual",
        location=Place("DE"),
        metadata={"0": "a", "x": "b"},
        types=["x", "y"],
        items=[Place(point=3)],
        token="pm_1",
    )


@pytest.mark.parametrize(
    ("form", "code", "param"),
    [
        ("currency=eur", "parameter_missing", "amount"),
        ("amount=&currency=eur", "parameter_invalid_empty", "amount"),
        ("amount=1&currency=", "parameter_invalid_empty", "currency"),
        ("amount=1&currency=eur&confirm=", "parameter_invalid_empty", "confirm"),
        ("amount=1&currency=eur&mode=", "parameter_invalid_empty", "mode"),
        ("amount=1&currency=eur&location=", "parameter_invalid_empty", "location"),
        ("amount=1&currency=eur&location[point]=", "parameter_invalid_empty", "location[point]"),
        ("amount=1&currency=eur&metadata=", "parameter_invalid_empty", "metadata"),
        ("amount=1&currency=eur&types[0]=", "parameter_invalid_empty", "types[0]"),
        ("amount=1&currency=eur&items[0]=", "parameter_invalid_empty", "items[0]"),
        ("amount=1.0&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=1e3&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=%205&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=5%0A&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=%2B5&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=007&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=%D9%A5&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=1_0&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=0&currency=eur", "parameter_invalid", "amount"),
        ("amount=1001&currency=eur", "parameter_invalid", "amount"),
        ("amount[x]=1&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=1&currency[a]=eur", "parameter_invalid_string", "currency"),
        ("amount=1&currency=eur&confirm=yes", "parameter_invalid_boolean", "confirm"),
        ("amount=1&currency=eur&confirm=True", "parameter_invalid_boolean", "confirm"),
        ("amount=1&currency=eur&mode=auto", "parameter_invalid", "mode"),
        ("amount=1&currency=eur&location=DE", "parameter_invalid_object", "location"),
        ("amount=1&currency=eur&location[country]=DEU", "parameter_invalid", "location[country]"),
        ("amount=1&currency=eur&location[cuntry]=DE", "parameter_unknown", "location[cuntry]"),
        ("amount=1&currency=eur&types=card", "parameter_invalid_array", "types"),
        ("amount=1&currency=eur&types[1]=card", "parameter_invalid_array", "types"),
        (
            "amount=1&currency=eur&types[]=1&types[]=2&types[]=3&types[]=4",
            "parameter_invalid",
            "types",
        ),
        ("amount=1&currency=eur&types[0][x]=1", "parameter_invalid_string", "types[0]"),
        ("amount=1&currency=eur&items[0][pint]=1", "parameter_unknown", "items[0][pint]"),
        ("amount=1&currency=eur&metadata[a][b]=1", "parameter_invalid_string", "metadata[a]"),
        ("amount=1&currency=eur&token=tok_1", "parameter_invalid", "token"),
        ("amount=1&currency=eur&ammount=2", "parameter_unknown", "ammount"),
    ],
)
def test_errors_name_the_field_and_the_remedy(form: str, code: str, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        struct_from(parse_form(form.encode()), Create)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)


@pytest.mark.parametrize(
    ("params", "hint"),
    [
        ({"ammount": "1"}, "Did you mean amount?"),
        ({**NEEDED, "location": {"contry": "DE"}}, "Did you mean location[country]?"),
        ({**NEEDED, "zzzzzzzz": "1"}, "unknown parameter: zzzzzzzz."),
    ],
)
def test_unknown_names_come_with_the_nearest(params: dict[str, Any], hint: str) -> None:
    with pytest.raises(ApiError, match=hint.replace("[", r"\[").replace("?", r"\?")):
        struct_from(params, Create)


@pytest.mark.parametrize("value", [True, [1], {"a": 1}, "true "])
def test_json_types_are_not_mixed_up(value: Any) -> None:
    with pytest.raises(ApiError):
        struct_from({"amount": value, "currency": "eur"}, Create)


def test_empty_text_and_null_unset_what_can_be_unset() -> None:
    for empty in ("", None):
        assert struct_from({**NEEDED, "note": empty}, Create).note is None
        assert struct_from({**NEEDED, "metadata": {"a": empty}}, Create).metadata == {"a": ""}
    assert struct_from(NEEDED, Create).note is UNSET


def test_an_object_without_fields_is_empty_too() -> None:
    for params in ({"location": {}}, {"items": [{}]}, {"items": [None]}):
        with pytest.raises(ApiError) as caught:
            struct_from({**NEEDED, **params}, Create)
        assert caught.value.code == "parameter_invalid_empty"
