"""What may be kept of an answer, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.runtime.http.answer_cache import (
    AnswerCache,
    CachedAnswer,
    Caching,
    State,
    read_caching,
)


@pytest.mark.parametrize(
    ("headers", "caching"),
    [
        ({}, Caching(shared=True)),
        ({"cache-control": "max-age=60"}, Caching(shared=True, lifetime_s=60.0)),
        ({"cache-control": 'Public, MAX-AGE="60"', "age": "20"}, Caching(shared=True, lifetime_s=40.0)),
        ({"cache-control": "max-age=60", "age": "90"}, Caching(shared=True, lifetime_s=0.0)),
        ({"cache-control": "max-age=nonsense"}, Caching(shared=True)),
        ({"cache-control": "max-age=-1"}, Caching(shared=True)),
        ({"cache-control": "max-age=99999999999999999999"}, Caching(shared=True, lifetime_s=31_536_000.0)),
        ({"cache-control": "no-store"}, Caching(storable=False, shared=True)),
        ({"cache-control": "no-cache, max-age=60"}, Caching(shared=True, must_ask=True, lifetime_s=0.0)),
        ({"cache-control": "private, max-age=9"}, Caching(lifetime_s=9.0)),
        ({"cache-control": "must-revalidate"}, Caching(shared=True, must_ask=True)),
        (
            {"cache-control": "max-age=5, stale-while-revalidate=30"},
            Caching(shared=True, lifetime_s=5.0, tolerated_s=30.0),
        ),
        ({"etag": '"a"', "last-modified": "Tue"}, Caching(shared=True, etag='"a"', last_modified="Tue")),
        ({"etag": "x" * 600}, Caching(shared=True)),
        ({"vary": "*"}, Caching(storable=False)),
        ({"vary": "Accept, Cookie"}, Caching()),
        ({"set-cookie": "a=b"}, Caching()),
        (
            {"expires": "Tue, 31 Aug 2010 20:37:28 GMT", "date": "Tue, 31 Aug 2010 20:36:28 GMT"},
            Caching(shared=True, lifetime_s=60.0),
        ),
        ({"expires": "0"}, Caching(shared=True, lifetime_s=0.0)),
        ({"expires": "0", "cache-control": "max-age=7"}, Caching(shared=True, lifetime_s=7.0)),
        ({"expires": "Tue, 31 Aug 2010 20:37:28 GMT"}, Caching(shared=True, lifetime_s=0.0)),
    ],
)
def test_headers(headers: dict[str, str], caching: Caching) -> None:
    assert read_caching(headers) == caching


@given(st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "age", "etag", "vary"]), st.text()))
def test_any_headers_are_read(headers: dict[str, str]) -> None:
    lifetime = read_caching(headers).lifetime_s
    assert lifetime is None or 0 <= lifetime <= 31_536_000


@pytest.mark.parametrize(
    ("caching", "worth"),
    [
        (Caching(), False),
        (Caching(etag="a"), True),
        (Caching(last_modified="a"), True),
        (Caching(lifetime_s=1.0), True),
        (Caching(lifetime_s=0.0), False),
        (Caching(storable=False, lifetime_s=1.0), False),
    ],
)
def test_what_is_worth_keeping(caching: Caching, worth: bool) -> None:
    assert caching.worth_keeping is worth


def test_conditions() -> None:
    assert Caching().conditions() == {}
    assert Caching(etag='W/"1"', last_modified="Tue").conditions() == {
        "If-None-Match": 'W/"1"',
        "If-Modified-Since": "Tue",
    }


@pytest.mark.parametrize(
    ("lifetime_s", "now", "state"),
    [(None, 0.0, "stale"), (10.0, 109.0, "fresh"), (10.0, 110.0, "tolerable"), (10.0, 115.0, "stale")],
)
def test_states(lifetime_s: float | None, now: float, state: State) -> None:
    caching = Caching(lifetime_s=lifetime_s, tolerated_s=5.0)

    assert CachedAnswer(value="page", caching=caching, at=100.0, size=4).state(now) == state


def test_the_least_recently_used_go_first_and_the_budget_holds() -> None:
    cache: AnswerCache[str] = AnswerCache(budget_bytes=10)
    for name in "abc":
        cache.keep(name, name.upper(), caching=Caching(), now=0.0, size=3)
    cache.find("a")
    cache.keep("d", "D", caching=Caching(), now=0.0, size=4)

    assert [name for name in "abcd" if cache.find(name) is not None] == ["a", "c", "d"]
    assert len(cache) == 3


def test_what_is_larger_than_the_budget_is_not_kept_and_takes_its_elder_along() -> None:
    cache: AnswerCache[str] = AnswerCache(budget_bytes=10)
    cache.keep("a", "old", caching=Caching(), now=0.0, size=3)
    cache.keep("a", "new", caching=Caching(), now=0.0, size=11)

    assert cache.find("a") is None
    cache.keep("b", "B", caching=Caching(), now=0.0, size=10)
    assert cache.find("b") is not None


def test_a_confirmation_makes_it_new_and_keeps_the_validators_it_leaves_out() -> None:
    cache: AnswerCache[str] = AnswerCache(budget_bytes=10)
    cache.keep("a", "A", caching=Caching(etag="1", last_modified="Tue", lifetime_s=5.0), now=0.0, size=1)

    cache.confirm("a", Caching(etag="2", shared=True), now=50.0)
    kept = cache.find("a")

    assert kept is not None
    assert kept.value == "A"
    assert kept.caching == Caching(etag="2", last_modified="Tue", lifetime_s=5.0, shared=True)
    assert kept.state(54.0) == "fresh"
    cache.confirm("unknown", Caching(), now=0.0)
    assert cache.find("unknown") is None
