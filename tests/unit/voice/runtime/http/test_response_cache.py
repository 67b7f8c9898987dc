"""Which responses may be cached, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.runtime.http.response_cache import (
    CachedResponse,
    CachePolicy,
    Freshness,
    ResponseCache,
    read_cache_policy,
)


@pytest.mark.parametrize(
    ("headers", "caching"),
    [
        ({}, CachePolicy(shared=True)),
        ({"cache-control": "max-age=60"}, CachePolicy(shared=True, lifetime_s=60.0)),
        ({"cache-control": 'Public, MAX-AGE="60"', "age": "20"}, CachePolicy(shared=True, lifetime_s=40.0)),
        ({"cache-control": "max-age=60", "age": "90"}, CachePolicy(shared=True, lifetime_s=0.0)),
        ({"cache-control": "max-age=nonsense"}, CachePolicy(shared=True)),
        ({"cache-control": "max-age=-1"}, CachePolicy(shared=True)),
        ({"cache-control": "max-age=99999999999999999999"}, CachePolicy(shared=True, lifetime_s=31_536_000.0)),
        ({"cache-control": "no-store"}, CachePolicy(storable=False, shared=True)),
        ({"cache-control": "no-cache, max-age=60"}, CachePolicy(shared=True, must_revalidate=True, lifetime_s=0.0)),
        ({"cache-control": "private, max-age=9"}, CachePolicy(lifetime_s=9.0)),
        ({"cache-control": "must-revalidate"}, CachePolicy(shared=True, must_revalidate=True)),
        (
            {"cache-control": "max-age=5, stale-while-revalidate=30"},
            CachePolicy(shared=True, lifetime_s=5.0, stale_while_revalidate_s=30.0),
        ),
        ({"etag": '"a"', "last-modified": "Tue"}, CachePolicy(shared=True, etag='"a"', last_modified="Tue")),
        ({"etag": "x" * 600}, CachePolicy(shared=True)),
        ({"vary": "*"}, CachePolicy(storable=False)),
        ({"vary": "Accept, Cookie"}, CachePolicy()),
        ({"set-cookie": "a=b"}, CachePolicy()),
        (
            {"expires": "Tue, 31 Aug 2010 20:37:28 GMT", "date": "Tue, 31 Aug 2010 20:36:28 GMT"},
            CachePolicy(shared=True, lifetime_s=60.0),
        ),
        ({"expires": "0"}, CachePolicy(shared=True, lifetime_s=0.0)),
        ({"expires": "0", "cache-control": "max-age=7"}, CachePolicy(shared=True, lifetime_s=7.0)),
        ({"expires": "Tue, 31 Aug 2010 20:37:28 GMT"}, CachePolicy(shared=True, lifetime_s=0.0)),
    ],
)
def test_headers(headers: dict[str, str], caching: CachePolicy) -> None:
    assert read_cache_policy(headers) == caching


@given(st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "age", "etag", "vary"]), st.text()))
def test_any_headers_are_read(headers: dict[str, str]) -> None:
    lifetime = read_cache_policy(headers).lifetime_s
    assert lifetime is None or 0 <= lifetime <= 31_536_000


@pytest.mark.parametrize(
    ("caching", "worth"),
    [
        (CachePolicy(), False),
        (CachePolicy(etag="a"), True),
        (CachePolicy(last_modified="a"), True),
        (CachePolicy(lifetime_s=1.0), True),
        (CachePolicy(lifetime_s=0.0), False),
        (CachePolicy(storable=False, lifetime_s=1.0), False),
    ],
)
def test_responses_worth_caching(caching: CachePolicy, worth: bool) -> None:
    assert caching.is_useful is worth


def test_conditions() -> None:
    assert CachePolicy().conditions() == {}
    assert CachePolicy(etag='W/"1"', last_modified="Tue").conditions() == {
        "If-None-Match": 'W/"1"',
        "If-Modified-Since": "Tue",
    }


@pytest.mark.parametrize(
    ("lifetime_s", "now", "state"),
    [(None, 0.0, "stale"), (10.0, 109.0, "fresh"), (10.0, 110.0, "stale-while-revalidate"), (10.0, 115.0, "stale")],
)
def test_states(lifetime_s: float | None, now: float, state: Freshness) -> None:
    caching = CachePolicy(lifetime_s=lifetime_s, stale_while_revalidate_s=5.0)

    assert CachedResponse(value="page", policy=caching, fetched_at=100.0, size=4).freshness(now) == state


def test_the_least_recently_used_are_dropped_first_and_the_budget_holds() -> None:
    cache: ResponseCache[str] = ResponseCache(budget_bytes=10)
    for name in "abc":
        cache.put(name, name.upper(), policy=CachePolicy(), now=0.0, size=3)
    cache.get("a")
    cache.put("d", "D", policy=CachePolicy(), now=0.0, size=4)

    assert [name for name in "abcd" if cache.get(name) is not None] == ["a", "c", "d"]
    assert len(cache) == 3


def test_a_response_larger_than_the_budget_is_not_cached_and_replaces_the_older_one() -> None:
    cache: ResponseCache[str] = ResponseCache(budget_bytes=10)
    cache.put("a", "old", policy=CachePolicy(), now=0.0, size=3)
    cache.put("a", "new", policy=CachePolicy(), now=0.0, size=11)

    assert cache.get("a") is None
    cache.put("b", "B", policy=CachePolicy(), now=0.0, size=10)
    assert cache.get("b") is not None


def test_a_confirmation_renews_a_response_and_keeps_omitted_validators() -> None:
    cache: ResponseCache[str] = ResponseCache(budget_bytes=10)
    cache.put("a", "A", policy=CachePolicy(etag="1", last_modified="Tue", lifetime_s=5.0), now=0.0, size=1)

    cache.confirm("a", CachePolicy(etag="2", shared=True), now=50.0)
    kept = cache.get("a")

    assert kept is not None
    assert kept.value == "A"
    assert kept.policy == CachePolicy(etag="2", last_modified="Tue", lifetime_s=5.0, shared=True)
    assert kept.freshness(54.0) == "fresh"
    cache.confirm("unknown", CachePolicy(), now=0.0)
    assert cache.get("unknown") is None
