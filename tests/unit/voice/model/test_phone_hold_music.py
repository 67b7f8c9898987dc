"""Which phones that hold and go on sending are heard: by the setting, and by that of the route."""

from __future__ import annotations

import pytest

from holdfast.voice.model.phone_hold_music import PhoneHoldMusic, holder_may_be_heard


@pytest.mark.parametrize(
    ("setting", "of_route", "by_trunk", "heard"),
    [
        ("trunks", None, False, False),
        ("trunks", None, True, True),
        ("always ours", None, False, False),
        ("always ours", None, True, False),
        ("always theirs", None, False, True),
        ("always theirs", None, True, True),
        ("trunks", "always ours", True, False),
        ("always theirs", "always ours", True, False),
        ("always ours", "always theirs", True, True),
        ("always ours", "trunks", True, True),
    ],
)
def test_the_route_counts_before_the_setting_and_a_line_is_heard_only_by_always_theirs(
    setting: PhoneHoldMusic, of_route: PhoneHoldMusic | None, by_trunk: bool, heard: bool
) -> None:
    assert holder_may_be_heard(setting, of_route, by_trunk=by_trunk) is heard
