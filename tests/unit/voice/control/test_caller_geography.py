"""The geographic parameters of a request, as far as the number itself says."""

import pytest

from holdfast.voice.control.geography import geography_params, place_of


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+15550100123", ("", "", "US")),
        ("+14155551212", ("SAN FRANCISCO", "CA", "US")),
        ("+16502530000", ("MOUNTAIN VIEW", "CA", "US")),
        ("+14165551212", ("", "", "CA")),
        ("+18005551212", ("", "", "US")),
        ("+12423456789", ("", "", "BS")),
        ("+4930123456", ("BERLIN", "", "DE")),
        ("+442079460018", ("LONDON", "", "GB")),
        ("+441481960194", ("", "", "GG")),
        ("+5511987654321", ("SÃO PAULO", "", "BR")),
        ("+8657112345678", ("HANGZHOU", "ZHEJIANG", "CN")),
        ("+61255501234", ("", "", "AU")),
        ("+358401234567", ("", "", "FI")),
        ("+8821612345678", ("", "", "")),
        ("+2101234567", ("", "", "")),
    ],
)
def test_the_place_of_a_number(number: str, expected: tuple[str, str, str]) -> None:
    assert place_of(number) == expected


def test_only_ends_that_are_phone_numbers_have_places() -> None:
    assert geography_params("client:alice", "+14155551212") == (
        *(("ToCity", "SAN FRANCISCO"), ("ToState", "CA"), ("ToZip", ""), ("ToCountry", "US")),
        *(("CalledCity", "SAN FRANCISCO"), ("CalledState", "CA"), ("CalledZip", ""), ("CalledCountry", "US")),
    )
    names = [name for name, _ in geography_params("+4930123456", "sip:bob@example.com")]
    assert names == [f"{end}{part}" for end in ("From", "Caller") for part in ("City", "State", "Zip", "Country")]
    assert geography_params("anonymous", "client:bob") == ()
