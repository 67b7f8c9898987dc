"""The geographic parameters of a request, as far as the number itself says."""

import pytest

from holdfast.voice.control.webhook_params import country, geography_params


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+15550100123", "US"),
        ("+4930123456", "DE"),
        ("+358401234567", "FI"),
        ("+8821612345678", ""),
        ("+2101234567", ""),
    ],
)
def test_the_country_of_a_number(number: str, expected: str) -> None:
    assert country(number) == expected


def test_only_ends_that_are_phone_numbers_have_places() -> None:
    assert geography_params("client:alice", "+15550100123") == (
        *(("ToCity", ""), ("ToState", ""), ("ToZip", ""), ("ToCountry", "US")),
        *(("CalledCity", ""), ("CalledState", ""), ("CalledZip", ""), ("CalledCountry", "US")),
    )
    names = [name for name, _ in geography_params("+4930123456", "sip:bob@example.com")]
    assert names == [f"{end}{part}" for end in ("From", "Caller") for part in ("City", "State", "Zip", "Country")]
    assert geography_params("anonymous", "client:bob") == ()
