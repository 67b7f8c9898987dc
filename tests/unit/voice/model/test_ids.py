"""SIDs have one shape, follow from their seed, and labels cannot be taken for them."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.model.ids import CallSid, Token, call_of, derive, is_label, is_sid


@given(seed=st.lists(st.text(), min_size=1))
def test_a_derived_sid_is_a_sid_and_always_the_same(seed: list[str]) -> None:
    sid = derive("CA", *seed)
    assert is_sid(sid, "CA")
    assert not is_sid(sid, "CF")
    assert derive("CA", *seed) == sid
    assert derive("CA", *seed, "more") != sid


def test_seeds_with_the_same_text_and_other_parts_differ() -> None:
    assert derive("CA", "ab", "c") != derive("CA", "a", "bc")


def test_other_texts_are_no_sids() -> None:
    good = "CA" + "0f" * 16
    assert is_sid(good, "CA")
    for bad in (good[:-1], good + "0", good.replace("f", "g"), good.lower(), good + "\n", ""):
        assert not is_sid(bad, "CA")


def test_labels() -> None:
    assert is_label("agent 7")
    assert is_label("CAbby")
    for bad in ("", "a/b", "x" * 129, "CA" + "0" * 32):
        assert not is_label(bad)


def test_a_token_contains_its_call() -> None:
    assert call_of(Token("CA1/main1/2.3")) == CallSid("CA1")
