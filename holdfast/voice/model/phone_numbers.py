"""Read phone numbers as people write them, and say which of them cannot be one.

A number with a plus is international, any other is read as one dialled in a country: `415-555-1212` in the United
States is +14155551212. Nothing is guessed: what is too short, too long or outside of a country's plan is no number.
Source: ITU-T E.164 §6; TwiML <Dial>, <Number>, formats of numbers; the numbering plans are those of `phonenumbers`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import phonenumbers

SHORTEST_DIGITS = 7
"""With fewer digits, country code included, a number is not international. Source: ITU-T E.164 §6."""

_SEPARATOR_KINDS = frozenset({"Zs", "Pd", "Ps", "Pe", "Cf"})
"""Spaces, dashes, brackets and invisible characters, as in copied numbers. Source: Unicode, general category."""
_SEPARATORS = frozenset("./~\t\n\r")
_BARE = re.compile(r"\+?[0-9]{1,64}\Z")


def bare_number(text: str) -> str | None:
    """Return the digits of a written number, behind its plus if it has one; None if the text is no number."""
    bare = ""
    for character in text:
        if character.isdecimal():
            bare += str(unicodedata.decimal(character))
        elif character in "+\uff0b":
            bare += "+"
        elif character not in _SEPARATORS and unicodedata.category(character) not in _SEPARATOR_KINDS:
            return None
    return bare if _BARE.match(bare) else None


def is_short(text: str) -> bool:
    """Return whether a text is a number such as 112 or 611, whose meaning depends on the country."""
    bare = bare_number(text)
    return bare is not None and len(bare.removeprefix("+")) < SHORTEST_DIGITS


def read_number(text: str, country: str) -> str | None:
    """Return a written number in E.164, or None if it cannot be one. Shape: `country` is two letters of ISO 3166-1."""
    bare = bare_number(text)
    return None if bare is None else _read(bare, country)


def spellings(text: str, country: str) -> tuple[str, ...]:
    """Return what a written number is in E.164, the likeliest first: as dialled in the country, or without its plus.

    A number of ours is recognised in each of them: many trunks send international numbers without the plus.
    """
    bare = bare_number(text)
    if bare is None:
        return ()
    found = (_read(bare, country), f"+{bare.removeprefix('+')}")
    return tuple(dict.fromkeys(number for number in found if number is not None))


@lru_cache(maxsize=10_000)
def _read(bare: str, country: str) -> str | None:
    try:
        number = phonenumbers.parse(bare, country)
    except phonenumbers.NumberParseException:
        return None
    length = phonenumbers.is_possible_number_with_reason(number)
    without_area = bare.startswith("+") and length == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY
    if not without_area and not (length == phonenumbers.ValidationResult.IS_POSSIBLE and _is_in_plan(number)):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_in_plan(number: phonenumbers.PhoneNumber) -> bool:
    """Return whether a country of this calling code has numbers of this form, whether assigned or not."""
    code = number.country_code or 0
    national = phonenumbers.national_significant_number(number)
    for region in phonenumbers.region_codes_for_country_code(code):
        plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        pattern = plan.general_desc.national_number_pattern if plan is not None and plan.general_desc else None
        if pattern is not None and re.fullmatch(pattern, national):
            return True
    return False
