"""Pages: every row once, whatever comes and goes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.api.errors import PageTooLarge, ParameterInvalid
from holdfast.voice.api.forms import Form
from holdfast.voice.api.paging import DAY_S, DateRange, newest_first, page
from holdfast.voice.api.resource import ApiRequest


def sid(number: int) -> str:
    return f"CA{number:032x}"


def turned(rows: list[str], query: str) -> dict[str, Any]:
    """A page, by its query."""
    request = ApiRequest(path="/p", path_params={}, form=Form(parse_qsl(query)))
    body = page(rows, request=request, collection="rows", key=str, render=lambda row: {"sid": row}).body
    assert body is not None
    return body


def shown(body: dict[str, Any]) -> list[str]:
    return [row["sid"] for row in body["rows"]]


@given(total=st.integers(0, 30), size=st.integers(1, 12))
def test_pages_forward_hold_every_row_once_and_backward_the_same(total: int, size: int) -> None:
    rows = [sid(number) for number in range(total)]
    body = turned(rows, f"PageSize={size}")
    pages = [shown(body)]
    while body["next_page_uri"] is not None:
        body = turned(rows, body["next_page_uri"].partition("?")[2])
        pages.append(shown(body))
    assert [row for each in pages for row in each] == rows
    back = [shown(body)]
    while body["previous_page_uri"] is not None:
        body = turned(rows, body["previous_page_uri"].partition("?")[2])
        back.append(shown(body))
    assert back == pages[::-1]


@given(st.data())
def test_rows_that_come_and_go_meanwhile_shift_nothing(data: st.DataObject) -> None:
    """Whoever was there all the time is seen exactly once, as long as the last row of a page stays."""
    rows = [sid(number) for number in range(data.draw(st.integers(2, 20)), 0, -1)]
    size = data.draw(st.integers(1, 5))
    steady, seen = set(rows), []
    newest = len(rows)
    body = turned(rows, f"PageSize={size}")
    while True:
        seen += shown(body)
        if body["next_page_uri"] is None:
            break
        for _ in range(data.draw(st.integers(0, 3))):
            newest += 1
            rows.insert(0, sid(newest))
        gone = data.draw(st.sampled_from(rows))
        if gone != seen[-1]:
            rows.remove(gone)
            steady.discard(gone)
        body = turned(rows, body["next_page_uri"].partition("?")[2])
    assert len(seen) == len(set(seen))
    assert steady <= set(seen)


def test_a_page_has_50_rows_and_up_to_1000() -> None:
    rows = [sid(number) for number in range(1001)]
    assert [len(shown(turned(rows, query))) for query in ("", "PageSize=1000", "PageSize=1")] == [50, 1000, 1]
    with pytest.raises(PageTooLarge):
        turned(rows, "PageSize=1001")


def test_a_page_by_its_number_says_where_it_is() -> None:
    rows = [sid(number) for number in range(5)]
    places = [(body["page"], body["start"], body["end"], shown(body)) for body in _numbered(rows, range(4))]
    assert places == [(0, 0, 1, rows[:2]), (1, 2, 3, rows[2:4]), (2, 4, 4, rows[4:]), (3, 0, 0, [])]
    links = [(body["previous_page_uri"], body["next_page_uri"]) for body in _numbered(rows, range(4))]
    assert [(bool(previous), bool(following)) for previous, following in links] == [
        (False, True),
        (True, True),
        (True, False),
        (False, False),
    ]
    assert "Page=0&" in links[1][0]
    assert "Page=2&" in links[1][1]


def _numbered(rows: list[str], numbers: Iterable[int]) -> list[dict[str, Any]]:
    return [turned(rows, f"PageSize=2&Page={number}") for number in numbers]


def test_the_page_before_a_row_near_the_first_begins_at_the_first() -> None:
    rows = [sid(number) for number in range(5)]
    body = turned(rows, f"PageSize=3&Page=1&PageToken=PB{rows[2]}")
    assert (shown(body), body["start"], body["previous_page_uri"]) == (rows[:3], 0, None)
    assert "Page=0&" in turned(rows, f"PageSize=2&Page=0&PageToken=PA{rows[0]}")["previous_page_uri"]


@pytest.mark.parametrize("token", ["x", "PA", "PC" + sid(1), "PA" + sid(1) + "x", "PA../.."])
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(ParameterInvalid):
        turned([sid(1)], f"PageToken={token}")


def test_rows_of_the_same_moment_come_in_reverse_of_their_making() -> None:
    rows = [("a", 1.0), ("b", 2.0), ("c", 2.0), ("d", 1.5)]
    assert [name for name, _ in newest_first(rows, lambda row: row[1])] == ["c", "b", "d", "a"]


DAY = 1_800_000_000 // DAY_S * DAY_S
"""The start of 2027-01-15 in UTC."""


@pytest.mark.parametrize(
    ("filters", "let_through"),
    [
        ([("T", "2027-01-15")], [False, True, True, False]),
        ([("T<", "2027-01-15")], [True, True, False, False]),
        ([("T>", "2027-01-15")], [False, True, True, True]),
        ([("T>", "2027-01-15T12:00:00Z")], [False, False, True, True]),
        ([("T>", "2027-01-15T13:00:00+01:00"), ("T<", "2027-01-15T12:00:00Z")], [False, False, True, False]),
        ([("T", "2027-01-15"), ("T<", "2027-01-15")], [False, True, False, False]),
        ([("T<", "2027-01-15T12:00:00Z")], [True, True, True, False]),
        ([("T", "")], [True, True, True, True]),
    ],
)
def test_dates_filter_as_the_reference_says(filters: list[tuple[str, str]], let_through: list[bool]) -> None:
    between = DateRange.read(Form(filters), "T")
    moments = [DAY - 1.0, DAY + 0.0, DAY + DAY_S / 2, DAY + float(DAY_S)]
    assert [between.contains(at) for at in moments] == let_through
    assert between.contains(None) is (between == DateRange())


@given(st.text(max_size=40))
def test_no_date_is_too_strange_to_be_refused(text: str) -> None:
    with suppress(ParameterInvalid):
        DateRange.read(Form([("T", text)]), "T")
