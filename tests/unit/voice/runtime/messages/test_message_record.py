"""The segments of a text are counted as 3GPP TS 23.038 and 23.040 say."""

from __future__ import annotations

import pytest

from holdfast.voice.runtime.messages.message_record import count_segments


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("é" * 160, 1),
        ("€" * 80, 1),
        ("€" * 80 + "a", 2),
        ("[]" * 40, 1),
        ("ł" * 70, 1),
        ("ł" * 71, 2),
        ("ł" * 134, 2),
        ("ł" * 135, 3),
        ("a" * 159 + "ł", 3),
        ("🙂" * 35, 1),
        ("🙂" * 36, 2),
        ("a" * 1600, 11),
    ],
)
def test_segments_are_counted_by_the_alphabet_of_the_text(body: str, segments: int) -> None:
    assert count_segments(body) == segments
