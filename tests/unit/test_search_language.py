"""The search query language: what is read, what is refused and where, and what it asks for."""

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base.errors import ApiError
from bailiwick.interlink import search_page
from bailiwick.resources.payments.search import SEARCHED
from bailiwick.search import numbers
from bailiwick.search.language import CLAUSES_MAX, Clause, Kind, Query, parse
from bailiwick.search.terms import Scope, Wanted, folded, term, wanted
from tests.search_oracle import matches, written

FIELDS = SEARCHED.fields
SCOPE = Scope("pi", "acct_1", False)


def read(text: str) -> Query:
    return parse(text, FIELDS, "payment_intents")


def one(text: str) -> tuple[Any, ...]:
    (clause,) = read(text).clauses
    return (clause.field, clause.key, clause.operator, clause.value, clause.negated)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ('status:"succeeded"', ("status", None, ":", "succeeded", False)),
        ("status:'succeeded'", ("status", None, ":", "succeeded", False)),
        ('-currency:"usd"', ("currency", None, ":", "usd", True)),
        ("amount>1000", ("amount", None, ">", 1000, False)),
        ('amount>="1000"', ("amount", None, ">=", 1000, False)),
        ("amount:-5", ("amount", None, ":", -5, False)),
        ("  created < 7  ", ("created", None, "<", 7, False)),
        ("customer:null", ("customer", None, ":", None, False)),
        ("-customer:NULL", ("customer", None, ":", None, True)),
        ('customer:"null"', ("customer", None, ":", "null", False)),
        ("customer:42", ("customer", None, ":", "42", False)),
        ('metadata["order id"]:"a b"', ("metadata", "order id", ":", "a b", False)),
        ("metadata['k']:null", ("metadata", "k", ":", None, False)),
        (r'metadata["a\"b"]:"the \"Sky\" \\ \n"',
         ("metadata", 'a"b', ":", 'the "Sky" \\ \\n', False)),
        ("metadata['and']:'or'", ("metadata", "and", ":", "or", False)),
        ('customer:""', ("customer", None, ":", "", False)),
    ],
)  # fmt: skip
def test_a_clause(text: str, clause: tuple[Any, ...]) -> None:
    assert one(text) == clause


@pytest.mark.parametrize(
    ("text", "count", "every"),
    [
        ("amount>1 amount<5", 2, True),
        ("amount>1 AND amount<5", 2, True),
        ("amount>1 and amount<5 currency:'eur'", 3, True),
        ("amount>1 OR amount<5", 2, False),
        ("amount>1 oR -amount<5 or amount:3", 3, False),
        ("amount>1 \n AND\tamount<5", 2, True),
    ],
)
def test_how_clauses_are_joined(text: str, count: int, every: bool) -> None:
    found = read(text)
    assert (len(found.clauses), found.every) == (count, every)


@pytest.mark.parametrize(
    ("text", "said", "at"),
    [
        ("", "it is empty", 1),
        ("   ", "it is empty", 4),
        ("asdf", "Field `asdf` is an unsupported search field for resource `payment_intents`", 1),
        ("status", "an operator was expected", 7),
        ("status:", "a value was expected", 8),
        ("status:succeeded", "a value was expected", 8),
        ("status:'succeeded", "this quote is never closed", 8),
        (r"status:'succeeded\'", "this quote is never closed", 8),
        ("amount>1 AND", "Field `AND` is an unsupported", 10),
        ("amount>1 AND ", "a clause was expected", 14),
        ("amount>1 OR amount<5 amount:3", "AND and OR cannot be combined", 21),
        ("amount>1 AND amount<5 OR amount:3", "AND and OR cannot be combined", 22),
        ("(amount>1)", "no parentheses", 1),
        ("amount>1)", "a blank, AND or OR was expected", 9),
        ("amount>1amount<3", "a value was expected", 8),
        ("amount>'1'amount<3", "a blank, AND or OR was expected", 11),
        ("amount>1.5", "a value was expected", 8),
        ("amount>'1.5'", "whole numbers", 8),
        ("amount>'x'", "whole numbers", 8),
        ("amount>99999999999999999", "whole numbers", 8),
        ("amount>null", "null can only be compared by :", 8),
        ("amount~'100'", "`amount` does not support substring matching", 7),
        ("customer~'cus'", "`customer` does not support substring matching", 9),
        ("customer>'cus'", "`customer` is no number", 9),
        ("amount=5", "an operator was expected", 7),
        ("--amount>5", "the name of a field was expected", 2),
        ("metadata:'x'", '`metadata` needs a key: metadata["key"]', 1),
        ("metadata[key]:'x'", "a key in quotes was expected", 10),
        ("metadata['key':'x'", "] was expected", 15),
        ("status['key']:'x'", "Field `status` is an unsupported", 1),
        ("payment_method_details.card.last4:4242",
         "Field `payment_method_details.card.last4` is an unsupported", 1),
        ("amount>1 " * CLAUSES_MAX + "amount<0", f"more than {CLAUSES_MAX} clauses", 91),
        ("status:“succeeded”", "a value was expected", 8),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(text: str, said: str, at: int) -> None:
    with pytest.raises(ApiError) as caught:
        read(text)
    error = caught.value
    assert (error.status, error.type, error.param) == (400, "invalid_request_error", "query")
    assert said in error.message and f"at character {at}" in error.message, error.message


@given(
    st.text(alphabet=st.characters(codec="utf-8")) | st.text(alphabet="amountsdr:<>=~-\"'\\[]() 1")
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except ApiError as error:
        seen = error
    else:
        return
    assert seen.status == 400 and seen.param == "query"


words = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
few = st.sampled_from(["a", "A", "b", "ß", "null", "", "x y", '"', "\\"])
values = few | words
tokens = st.builds(
    Clause,
    st.sampled_from([name for name, kind in FIELDS.items() if kind is Kind.TOKEN]),
    st.none(), st.just(":"), st.none() | values, st.booleans(),
)  # fmt: skip
noted = st.builds(
    Clause, st.just("metadata"), values, st.just(":"), st.none() | values, st.booleans()
)
counted = st.builds(
    Clause, st.sampled_from(["amount", "created"]), st.none(),
    st.sampled_from([":", ">", ">=", "<", "<="]), st.integers(-2, 12), st.booleans(),
) | st.builds(
    Clause, st.sampled_from(["amount", "created"]), st.none(), st.just(":"), st.none(),
    st.booleans(),
)  # fmt: skip
clauses = tokens | noted | counted
queries = st.builds(
    lambda found, every: Query(tuple(found), every or len(found) == 1),
    st.lists(clauses, min_size=1, max_size=CLAUSES_MAX),
    st.booleans(),
)
objects = st.fixed_dictionaries(
    {
        "amount": st.integers(0, 10),
        "created": st.integers(0, 10),
        "currency": st.sampled_from(["eur", "usd"]),
        "status": few,
        "customer": st.none() | few,
        "metadata": st.dictionaries(few, few, max_size=3),
    }
)


@given(queries, st.sampled_from([" AND ", " ", " and ", "\n"]), st.sampled_from("\"'"))
def test_what_is_written_is_read(query: Query, join: str, quote: str) -> None:
    assert read(written(query, join, quote)) == query


def terms_of(shown: dict[str, Any]) -> set[int]:
    """The terms of an object, as the table's entry has them."""
    held = {(name, None): shown[name] for name in ("currency", "status", "customer")}
    held |= {("metadata", key): value for key, value in shown["metadata"].items()}
    return {
        term(SCOPE, field, key, said)
        for (field, key), value in held.items()
        if value is not None
        for said in ((value,) if field in SEARCHED.always else (value, None))
    }


def found(wish: Wanted, shown: dict[str, Any]) -> bool:
    """Whether the table finds an entry: what its statements say."""
    has = terms_of(shown)

    def within(value: int, spans: numbers.Spans) -> bool:
        return any(low <= value <= high for low, high in spans)

    amount, created = within(shown["amount"], wish.amounts), within(shown["created"], wish.seconds)
    if wish.every:
        return has >= set(wish.terms) and not has & set(wish.lacking) and amount and created
    return bool(has & set(wish.terms) or not has >= set(wish.lacking) or amount or created)


@given(queries, objects)
def test_terms_and_spans_find_what_the_language_means(query: Query, shown: dict[str, Any]) -> None:
    assert found(wanted(query, SCOPE, SEARCHED.always), shown) == matches(query, shown)


spans = st.builds(
    lambda pairs: functools.reduce(
        numbers.either, [((min(p), max(p)),) for p in pairs], numbers.NONE
    ),
    st.lists(st.tuples(st.integers(-5, 15), st.integers(-5, 15)), max_size=4),
)


@given(spans, spans, st.integers(-7, 17))
def test_spans_are_sets(one: numbers.Spans, other: numbers.Spans, number: int) -> None:
    def has(it: numbers.Spans) -> bool:
        return any(low <= number <= high for low, high in it)

    assert has(numbers.beside(one)) != has(one)
    assert has(numbers.either(one, other)) == (has(one) or has(other))
    assert has(numbers.both(one, other)) == (has(one) and has(other))
    assert numbers.beside(numbers.beside(one)) == one
    low, high = numbers.ends(one)
    assert not has(one) or low <= number <= high
    milliseconds = numbers.scaled(one, 1000)
    assert any(a <= number * 1000 + 7 <= b for a, b in milliseconds) == has(one)


def test_terms_are_each_scope_s_own() -> None:
    scopes = [Scope(k, m, l) for k in ("pi", "ch") for m in ("a", "b") for l in (True, False)]  # noqa: E741
    made = {term(each, "metadata", key, value) for each in scopes
            for key, value in (("a", "b"), ("a", None), ("", "b"), ("ab", ""), ("a\nb", "c"),
                               ("a", "b\nc"))}  # fmt: skip
    assert len(made) == len(scopes) * 6
    assert term(SCOPE, "status", None, "Succeeded") == term(SCOPE, "status", None, "sUCCEEDED")
    assert folded("ÄZİ") == "Äzİ"


# Pages

MINE = search_page.search_of("acct_1", False, "/v1/charges/search", "amount>5")
LAST = "ch_01jd8z0000000000000000000g_2"


def test_a_page_of_a_search_is_its_own() -> None:
    page = search_page.token(MINE, LAST)
    assert search_page.last_of(MINE, page) == LAST and LAST not in page
    for other in (
        search_page.search_of("acct_2", False, "/v1/charges/search", "amount>5"),
        search_page.search_of("acct_1", True, "/v1/charges/search", "amount>5"),
        search_page.search_of("acct_1", False, "/v1/payment_intents/search", "amount>5"),
        search_page.search_of("acct_1", False, "/v1/charges/search", "amount>6"),
    ):
        with pytest.raises(ApiError) as caught:
            search_page.last_of(other, page)
        assert (caught.value.status, caught.value.param) == (400, "page")


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_any_other_page_is_refused(page: str) -> None:
    with pytest.raises(ApiError) as caught:
        search_page.last_of(MINE, page)
    assert caught.value.param == "page"
