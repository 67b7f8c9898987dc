"""Phone numbers are read as people write them, and what cannot be one is refused."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.model.phone_numbers import bare_number, is_short, read_number, spellings

COUNTRIES = st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS))


@pytest.mark.parametrize(
    "written",
    [
        "415-555-1212",
        "(415) 555-1212",
        "4155551212",
        "415.555.1212",
        "415 555 1212",
        "415\u00a0555\u20111212",
        "1 415 555 1212",
        "1-415-555-1212",
        "+1 (415) 555-1212",
        "(+1) 415/555/1212",
        "\u202a+14155551212\u202c",
        "\uff0b\uff11 415 555 1212",
        "011 1 415 555 1212",
        " 415-555-1212\n",
    ],
)
def test_a_number_is_read_in_every_form_that_people_write(written: str) -> None:
    assert read_number(written, "US") == "+14155551212"


@pytest.mark.parametrize(
    ("written", "country", "expected"),
    [
        ("044 668 18 00", "CH", "+41446681800"),
        ("00 1 415 555 1212", "CH", "+14155551212"),
        ("(030) 123456", "DE", "+4930123456"),
        ("06 12345678", "IT", "+390612345678"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("+44 (0)20 7946 0018", "US", "+442079460018"),
        ("+1 415 555 1212", "CH", "+14155551212"),
    ],
)
def test_a_number_without_a_plus_is_dialled_in_the_default_country(written: str, country: str, expected: str) -> None:
    assert read_number(written, country) == expected


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "+", "call me", "1-800-FLOWERS", "415-555-1212 x5", "tel:+14155551212", "4155551212;ext=1"),
        *("1+4155551212", "++14155551212", "+0123456789", "*67", "client:4155551212", "4155551212@192.0.2.1"),
        *("555-1212", "415-555-121", "415-555-12121", "0415551212", "1155551212", "447911123456", "0041446681800"),
        *("+4155551212", "+1415555121", "+141555512123", "+2101234567", "+1234567", "+123456789012345"),
        *("112", "911", "100"),
    ],
)
def test_text_that_cannot_be_a_number_gives_none(written: str) -> None:
    assert read_number(written, "US") is None


def test_a_number_with_its_plus_may_lack_an_area_code_as_numbers_for_tests_do() -> None:
    assert read_number("+15550100", "US") == "+15550100"
    assert read_number("15550100", "US") is None


@pytest.mark.parametrize(
    ("written", "short"), [("112", True), ("+123456", True), ("555-1212", False), ("", False), ("six", False)]
)
def test_a_short_number_has_another_meaning_in_each_country(written: str, short: bool) -> None:
    assert is_short(written) is short


def test_a_number_of_ours_is_looked_for_as_dialled_in_the_country_and_without_its_plus() -> None:
    assert spellings("415-555-1212", "US") == ("+14155551212", "+4155551212")
    assert spellings("15550100", "US") == ("+15550100",)
    assert spellings("alice", "US") == ()


@given(text=st.text(alphabet="+0123456789 ()-.x\u2011\uff11", max_size=24), country=COUNTRIES)
def test_numbers_become_e164_and_are_read_again_as_themselves_in_every_country(text: str, country: str) -> None:
    number = read_number(text, country)
    if number is not None:
        assert re.fullmatch(r"\+[1-9][0-9]{1,14}", number)
        assert number in spellings(text, country)
        assert read_number(number, "US") == number


@given(st.text())
def test_a_bare_number_is_digits_behind_at_most_one_plus(text: str) -> None:
    bare = bare_number(text)
    assert bare is None or re.fullmatch(r"\+?[0-9]{1,64}", bare)
    assert bare is None or bare_number(bare) == bare


@given(COUNTRIES)
def test_the_example_number_of_each_country_is_read_in_its_own_form_and_in_e164(country: str) -> None:
    example = phonenumbers.example_number(country)
    assert example is not None
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    for form in (phonenumbers.PhoneNumberFormat.NATIONAL, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
        assert read_number(phonenumbers.format_number(example, form), country) == e164
