"""Make the geographic parameters of requests: the country of a phone number, and its city where the number says it.

Deviation: Twilio looks numbers up; here the number alone decides, by the numbering plans of `phonenumbers`. `…Zip` is
empty, and so are city and state where a number belongs to a wider area, as on Twilio for unknown numbers. A number
that is not valid has only the country of its calling code.
Source: Twilio docs, "TwiML Voice: request parameters".
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import geocoder

Form = tuple[tuple[str, str], ...]

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}\Z")
NO_COUNTRY = "001"
"""The region of calling codes that belong to no country, such as satellite phones. Source: UN M.49."""


@lru_cache(maxsize=1000)
def geography_params(from_: str, to: str) -> Form:
    """Return the geographic parameters of a call's two parties, without those of a party that is no phone number."""
    form: list[tuple[str, str]] = []
    for party, names in ((from_, ("From", "Caller")), (to, ("To", "Called"))):
        if NUMBER.match(party):
            city, state, country = place_of(party)
            for name in names:
                form += [(f"{name}City", city), (f"{name}State", state), (f"{name}Zip", "")]
                form.append((f"{name}Country", country))
    return tuple(form)


def place_of(number: str) -> tuple[str, str, str]:
    """Return the city, the state and the country of a number in E.164, each "" when the number does not say it."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "", "", ""
    if not phonenumbers.is_valid_number(parsed):
        return "", "", _country(phonenumbers.region_code_for_country_code(parsed.country_code or 0))
    country = _country(phonenumbers.region_code_for_number(parsed))
    city, comma, state = geocoder.description_for_valid_number(parsed, "en").rpartition(", ")
    if not comma and (country in _WITH_STATES or state == geocoder.country_name_for_number(parsed, "en")):
        return "", "", country
    return (city or state).upper(), state.upper() if comma else "", country


_WITH_STATES = frozenset(phonenumbers.region_codes_for_country_code(1))
"""The countries for which a place is a city with its state, or else a whole state."""


def _country(region: str | None) -> str:
    return region if region is not None and region != NO_COUNTRY else ""
