"""Which clips stay in the cache."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.runtime.sounds.clip_lru import ClipLru
from holdfast.voice.runtime.sounds.sound import DecodedAudio


def sound(size: int) -> DecodedAudio:
    return DecodedAudio(audio=bytes(size), level_db=-20.0, peak_db=-3.0)


def test_the_least_recently_used_clips_are_dropped() -> None:
    shelf = ClipLru(budget_bytes=10)
    shelf.put("a", sound(4), playing=())
    shelf.put("b", sound(4), playing=())
    shelf.get("a")

    assert shelf.put("c", sound(4), playing=()) == ("b",)
    assert "a" in shelf
    assert shelf.get("b") is None


def test_a_playing_clip_stays() -> None:
    shelf = ClipLru(budget_bytes=10)
    shelf.put("a", sound(4), playing=())
    shelf.put("b", sound(4), playing=())

    assert shelf.put("c", sound(8), playing=("a",)) == ("b",)
    assert "a" in shelf
    assert shelf.put("d", sound(1), playing=()) == ("a",)


def test_a_pinned_clip_stays() -> None:
    shelf = ClipLru(budget_bytes=4)
    shelf.put("z", sound(3), playing=(), pinned=True)
    shelf.put("y", sound(3), playing=(), pinned=True)

    assert shelf.put("a", sound(9), playing=()) == ()
    assert shelf.put("b", sound(1), playing=()) == ("a",)
    assert shelf.pinned() == ("y", "z")


def test_one_clip_id_is_one_sound() -> None:
    shelf = ClipLru(budget_bytes=10)
    shelf.put("a", sound(8), playing=())
    shelf.put("a", sound(9), playing=())

    assert shelf.put("b", sound(1), playing=()) == ()


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 9), st.sets(st.sampled_from("abcdef")))))
def test_playing_clips_stay_in_any_sequence(puts: list[tuple[str, int, set[str]]]) -> None:
    shelf, sizes = ClipLru(budget_bytes=20), dict[str, int]()
    for clip, size, wanted in puts:
        in_play = {name for name in wanted if name in shelf}
        given_away = shelf.put(clip, sound(size), playing=in_play)
        sizes[clip] = size
        for gone in given_away:
            del sizes[gone]
        assert not in_play & set(given_away)
        assert clip in shelf
        assert set(sizes) == {name for name in "abcdef" if name in shelf}
        spare = set(sizes) - in_play - {clip}
        assert sum(sizes.values()) <= 20 or not spare
