"""What callers give us is checked before any work begins."""

from __future__ import annotations

import pytest

from holdfast.holds.errors import BadInput
from holdfast.holds.validation import (
    check_hold_request,
    check_texts,
    checked_url,
    is_call_sid,
    is_hold_id,
    parse_call_sid,
)

HEX = "0123456789abcdef" * 2


def test_ids_are_two_letters_and_32_hex_digits() -> None:
    assert is_call_sid(f"CA{HEX}")
    assert is_call_sid(f"CA{HEX.upper()}")
    assert is_hold_id(f"HO{HEX}")
    for wrong in (f"HO{HEX}", f"CA{HEX}0", f"CA{HEX[1:]}", f"CA{HEX[1:]}g", f" CA{HEX}", f"CA{HEX}\n", ""):
        assert not is_call_sid(wrong)
    for wrong in (f"CA{HEX}", f"HO{HEX.upper()}", f"HO{HEX}0", f"HO{HEX[1:]}"):
        assert not is_hold_id(wrong)


def test_a_text_that_is_no_sid_is_refused_with_its_beginning() -> None:
    assert parse_call_sid(f"CA{HEX}") == f"CA{HEX}"
    with pytest.raises(BadInput) as caught:
        parse_call_sid("x" * 61)
    assert caught.value.message == f"'{'x' * 60}' is not the SID of a call"
    assert caught.value.fix == "A call's SID is CA and 32 hex digits."


@pytest.mark.parametrize("name", ["by", "reason"])
def test_texts_are_short_and_printable(name: str) -> None:
    nothing = {"by": None, "reason": None, "music": None, "limit_s": None}
    check_hold_request(**{**nothing, name: "é" * 500})  # type: ignore[arg-type]  # one of the two texts
    for wrong in ("x" * 501, "a\nb", "\x00"):
        with pytest.raises(BadInput, match=f"^{name} must be plain text of at most 500 characters$"):
            check_hold_request(**{**nothing, name: wrong})  # type: ignore[arg-type]  # one of the two texts
        with pytest.raises(BadInput, match=f"^{name} must"):
            check_texts(**{name: wrong})


@pytest.mark.parametrize("limit_s", [0.0, -1.0, float("inf"), float("nan")])
def test_a_limit_is_a_positive_number(limit_s: float) -> None:
    check_hold_request(by=None, music=None, reason=None, limit_s=0.001)
    with pytest.raises(BadInput, match="limit_s must be a positive number of seconds"):
        check_hold_request(by=None, music=None, reason=None, limit_s=limit_s)


def test_a_url_that_an_account_can_open_is_taken_as_it_is() -> None:
    longest = "https://x.example/" + "a" * (2_000 - 18)
    for right in ("http://x", "https://x.example:1/a?b=c#d", "https://[::1]/", longest, "https://x/é"):
        assert checked_url("music", right) == right


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "/m.mp3",
        "ftp://x/m.mp3",
        "file:///etc/passwd",
        "https://",
        "http://:80/",
        "https://x:0/",
        "https://x:99999/",
        "http://[::1",
        "https://x/a b",
        "https://x/a\tb",
        "https://x/a\x7fb",
        "https://x.example/" + "a" * (2_001 - 18),
    ],
)
def test_a_url_that_no_account_can_open_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(BadInput) as caught:
        checked_url("after", wrong)
    assert caught.value.message.startswith("after must be a whole http:// or https:// URL of at most 2000 characters")
    assert caught.value.fix == "Say after=https://example.com/…"
    with pytest.raises(BadInput, match=r"^music must be"):
        check_hold_request(by=None, music=wrong, reason=None, limit_s=None)
