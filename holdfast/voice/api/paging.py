"""Filter lists by date and cut them into pages in Twilio's envelope. Source: Twilio API, "Paging through lists"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import urlencode

from holdfast.voice.api.errors import PageTooLarge, ParameterInvalid
from holdfast.voice.api.forms import Form
from holdfast.voice.api.render import Json
from holdfast.voice.api.resource import ApiRequest, ApiResponse

PAGING: Final = frozenset({"PageSize", "Page", "PageToken"})
DEFAULT_SIZE: Final = 50
MAX_SIZE: Final = 1000
DAY_S: Final = 86400
_TOKEN = re.compile(r"P[AB][A-Z]{2}[0-9a-fA-F]{32}\Z")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """A range of time that a filter lets through: from `first` to `last`, both inclusive, None open.

    Units: seconds since the Unix epoch. Source: Twilio API, Call `StartTime`: `X<=date` is up to midnight at the
    start of that day, `X>=date` from it on, `X=date` within that day.
    """

    first: float | None = None
    last: float | None = None

    @classmethod
    def read(cls, form: Form, name: str) -> DateRange:
        """Read the filters `name`, `name<` and `name>` together. Raises: ParameterInvalid."""
        first: list[float] = []
        last: list[float] = []
        if (day := _timestamp(form, name)) is not None:
            first.append(day // DAY_S * DAY_S)
            last.append(first[-1] + DAY_S - 0.001)
        if (at := _timestamp(form, f"{name}>")) is not None:
            first.append(at)
        if (at := _timestamp(form, f"{name}<")) is not None:
            last.append(at)
        return cls(first=max(first, default=None), last=min(last, default=None))

    def contains(self, at: float | None) -> bool:
        """Return whether this timestamp is in the range. A missing one is only in a range that is open at both ends."""
        if self.first is None and self.last is None:
            return True
        return at is not None and (self.first is None or at >= self.first) and (self.last is None or at <= self.last)


def newest_first(rows: Iterable[T], created_at: Callable[[T], float]) -> list[T]:
    """Return rows in reverse order of creation. The time decides where the given order differs."""
    return sorted(reversed(list(rows)), key=lambda row: -created_at(row))


def date_filters(name: str) -> frozenset[str]:
    """Return the three names by which a date is filtered."""
    return frozenset({name, f"{name}<", f"{name}>"})


def _timestamp(form: Form, name: str) -> float | None:
    value = form.text(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp()
    except (ValueError, OverflowError) as error:
        raise ParameterInvalid(f"{name} must be YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ") from error


def page(
    rows: Sequence[T], *, request: ApiRequest, collection: str, key: Callable[[T], str], render: Callable[[T], Json]
) -> ApiResponse:
    """Return the requested page of `rows` in Twilio's envelope.

    A page token names the row after which (`PA…`) or before which (`PB…`) its page lies, so a page does not shift when
    rows are added or removed while a client reads. When that row itself is removed, the page number counts.
    Raises: PageTooLarge, ParameterInvalid.
    """
    form = request.form
    size = form.integer("PageSize", low=1, high=MAX_SIZE, error=PageTooLarge) or DEFAULT_SIZE
    number = form.integer("Page", low=0, high=10**8) or 0
    start = _start(rows, token=form.raw("PageToken") or "", number=number, size=size, key=key)
    shown = rows[start : start + size]
    filters = [(name, value) for name, value in form.pairs() if name not in PAGING]

    def link(at: int, token: str = "") -> str:
        query = [*filters, ("PageSize", str(size)), ("Page", str(at))]
        return f"{request.path}?{urlencode([*query, ('PageToken', token)] if token else query)}"

    follows = start + size < len(rows)
    body: Json = {
        "first_page_uri": link(0),
        "next_page_uri": link(number + 1, "PA" + key(shown[-1])) if follows and shown else None,
        "previous_page_uri": link(max(number - 1, 0), "PB" + key(shown[0])) if start and shown else None,
        "uri": link(number, form.raw("PageToken") or ""),
        "page": number,
        "page_size": size,
        "start": start if shown else 0,
        "end": start + len(shown) - 1 if shown else 0,
        collection: [render(row) for row in shown],
    }
    return ApiResponse(body=body)


def _start(rows: Sequence[T], *, token: str, number: int, size: int, key: Callable[[T], str]) -> int:
    if token and not _TOKEN.match(token):
        raise ParameterInvalid("PageToken is not one of ours")
    here = next((index for index, row in enumerate(rows) if key(row) == token[2:]), None) if token else None
    if here is None:
        return number * size
    return here + 1 if token.startswith("PA") else max(0, here - size)
