"""Write points in time in Twilio's form, computed from seconds since the Unix epoch without a clock."""

from __future__ import annotations

_DAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def calendar_date(day: int) -> tuple[int, int, int]:
    """Return year, month and day of a day counted from 1970-01-01 in the Gregorian calendar.

    Source: the 400-year era arithmetic of the proleptic Gregorian calendar, years beginning in March.
    """
    era, day_of_era = divmod(day + 719468, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    march_month = (5 * day_of_year + 2) // 153
    month = march_month + 3 if march_month < 10 else march_month - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    return year, month, day_of_year - (153 * march_month + 2) // 5 + 1


def rfc2822(at: float) -> str:
    """Write a time as `Tue, 31 Aug 2010 20:36:28 +0000`, as in Twilio's answers and callbacks.

    Units: `at` in seconds since the Unix epoch.
    """
    day, second = divmod(int(at), 86400)
    year, month, day_of_month = calendar_date(day)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{_DAYS[day % 7]}, {day_of_month:02} {_MONTHS[month - 1]} {year:04} {clock} +0000"
