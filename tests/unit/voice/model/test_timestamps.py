"""Moments agree with the standard library's calendar, for every day there is."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.model.timestamps import calendar_date, rfc2822

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = st.integers((datetime(1, 1, 1, tzinfo=UTC) - EPOCH).days, (datetime(9999, 12, 31, tzinfo=UTC) - EPOCH).days)


@given(day=DAYS)
def test_every_day_has_its_date(day: int) -> None:
    date = EPOCH + timedelta(days=day)
    assert calendar_date(day) == (date.year, date.month, date.day)


@given(at=st.integers(0, 4_000_000_000), fraction=st.floats(0, 0.999))
def test_a_date_is_written_as_mail_writes_it(at: int, fraction: float) -> None:
    assert rfc2822(at + fraction) == format_datetime(EPOCH + timedelta(seconds=at))


def test_the_form_of_twilios_dates() -> None:
    assert rfc2822(1283287228) == "Tue, 31 Aug 2010 20:40:28 +0000"
