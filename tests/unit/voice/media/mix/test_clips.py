"""Every clip begins at its beginning and reports its end once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from holdfast.voice.media.codec.g711 import (
    ALAW,
    SILENCE,
    TRANSCODE,
    ULAW,
)
from holdfast.voice.media.frames import Bytes, Layout
from holdfast.voice.media.mix.clips import (
    Clip,
    ClipBank,
    ClipBroken,
    ClipTooLong,
    Players,
)

SILENT = b"\xff" * 160


def bank_of(frames: int) -> ClipBank:
    return ClipBank(np.zeros((2 * frames, 160), dtype=np.uint8))


def found(bank: ClipBank, clip_id: str) -> Clip:
    clip = bank.get(clip_id)
    assert clip is not None
    return clip


def content(bank: ClipBank, clip_id: str, companding: int = ULAW) -> bytes:
    clip = found(bank, clip_id)
    first = companding * bank.capacity + clip.first
    return bank.frames[first : first + clip.frames].tobytes()


def put(bank: ClipBank, clip_id: str, audio: bytes, *, part: int = 1000, in_play: set[int] | None = None) -> None:
    for offset in range(0, max(1, len(audio)), part):
        bank.put(clip_id, audio[offset : offset + part], offset=offset, total=len(audio), in_play=in_play or set())


# --- the bank ---------------------------------------------------------------------------------------------------


@given(st.binary(max_size=1000), st.integers(1, 400))
def test_a_clip_is_stored_in_both_compandings_and_padded_with_silence(audio: bytes, part: int) -> None:
    bank = bank_of(10)
    put(bank, "a", audio, part=part)
    padding = -len(audio) % 160
    assert content(bank, "a") == audio + b"\xff" * padding
    assert content(bank, "a", ALAW) == TRANSCODE[ULAW][np.frombuffer(audio + b"\xff" * padding, np.uint8)].tobytes()


def test_a_clip_is_available_when_it_is_complete() -> None:
    bank = bank_of(10)
    bank.put("a", b"x" * 160, offset=0, total=320)
    assert "a" not in bank
    assert bank.get("a") is None
    bank.put("a", b"y" * 160, offset=160, total=320)
    assert "a" in bank


@pytest.mark.parametrize(("offset", "total", "size"), [(100, 320, 160), (160, 400, 160), (160, 320, 200)])
def test_parts_that_do_not_follow_each_other_are_refused(offset: int, total: int, size: int) -> None:
    bank = bank_of(10)
    bank.put("a", b"x" * 160, offset=0, total=320)
    with pytest.raises(ClipBroken):
        bank.put("a", b"y" * size, offset=offset, total=total)
    with pytest.raises(ClipBroken):
        bank.put("a", b"y" * 160, offset=160, total=320)
    put(bank, "a", b"z" * 1600)
    assert content(bank, "a") == b"z" * 1600


def test_a_part_of_an_unknown_clip_is_refused() -> None:
    with pytest.raises(ClipBroken):
        bank_of(10).put("a", b"x", offset=160, total=320)


def test_a_clip_replaces_one_of_the_same_name() -> None:
    bank = bank_of(10)
    put(bank, "a", b"1" * 320)
    put(bank, "a", b"2" * 160)
    assert content(bank, "a") == b"2" * 160


def test_the_least_recently_played_clip_is_removed() -> None:
    bank = bank_of(10)
    for clip_id in "abc":
        put(bank, clip_id, clip_id.encode() * 480)
    found(bank, "a")
    put(bank, "d", b"d" * 320)
    assert [clip_id in bank for clip_id in "abcd"] == [True, False, True, True]
    assert content(bank, "a") == b"a" * 480


def test_a_clip_in_play_stays_even_when_it_was_replaced() -> None:
    bank = bank_of(10)
    put(bank, "a", b"1" * 800)
    playing = found(bank, "a")
    put(bank, "a", b"2" * 320, in_play={playing.first})
    with pytest.raises(ClipTooLong):
        put(bank, "b", b"b" * 1280, in_play={playing.first})
    put(bank, "b", b"b" * 480, in_play={playing.first})
    assert bank.frames[playing.first].tobytes() == b"1" * 160
    put(bank, "c", b"c" * 1600)
    assert content(bank, "c") == b"c" * 1600


def test_a_clip_larger_than_the_bank_removes_no_clip() -> None:
    bank = bank_of(10)
    put(bank, "a", b"a" * 160)
    with pytest.raises(ClipTooLong):
        put(bank, "b", b"b" * 1601)
    assert "a" in bank


def test_an_incomplete_clip_is_replaced() -> None:
    bank = bank_of(10)
    bank.put("a", b"a" * 160, offset=0, total=1600)
    with pytest.raises(ClipTooLong):
        put(bank, "b", b"b" * 160)
    bank.discard_partial()
    put(bank, "b", b"b" * 160)
    assert "b" in bank


# --- the players ------------------------------------------------------------------------------------------------


class PlayerOutputs:
    """The frames that each leg's player plays."""

    def __init__(self, frames: Bytes, players: Players) -> None:
        self._frames, self._players = frames, players

    def __getitem__(self, row: int) -> Bytes:
        heard: Bytes = self._frames[self._players.frame_row[row]]
        return heard


def players(**clips: bytes) -> tuple[ClipBank, Players, PlayerOutputs]:
    layout = Layout(rows=3, clip_frames=100)
    frames = layout.matrix()
    bank, each = ClipBank(frames[layout.clips(ULAW) :]), Players(layout)
    for clip_id, audio in clips.items():
        put(bank, clip_id, audio)
    return bank, each, PlayerOutputs(frames, each)


def test_each_leg_plays_from_its_own_beginning() -> None:
    bank, each, out = players(a=b"1" * 160 + b"2" * 160)
    each.start(0, found(bank, "a"), loops=2)
    each.advance()
    each.start(2, found(bank, "a"), loops=1)
    each.advance()
    assert [out[row].tobytes()[:1] for row in range(3)] == [b"2", b"\xff", b"1"]
    assert each.in_play() == {found(bank, "a").first}


def test_the_end_is_reported_with_the_last_frame_and_silence_follows() -> None:
    bank, each, out = players(a=b"1" * 160 + b"2" * 160)
    each.start(1, found(bank, "a"), loops=2)
    ended, heard = [], b""
    for _ in range(6):
        ended.append(each.advance().tolist())
        heard += out[1][:1].tobytes()
    assert ended == [[], [], [], [1], [], []]
    assert heard == b"1212\xff\xff"
    assert each.in_play() == set()


def test_an_empty_clip_is_silent_for_one_tick_with_any_number_of_loops() -> None:
    bank, each, out = players(a=b"")
    each.start(0, found(bank, "a"), loops=1000)
    assert each.advance().tolist() == [0]
    assert out[0].tobytes() == SILENT
    assert each.advance().tolist() == []


def test_the_companding_changes_in_the_middle_of_a_clip() -> None:
    bank, each, out = players(a=b"\x20" * 480)
    each.start(0, found(bank, "a"), loops=1)
    each.advance()
    each.describe(0, companding=ALAW)
    assert out[0][0] == SILENCE[ALAW]
    each.advance()
    assert out[0][0] == TRANSCODE[ULAW][0x20]
    each.stop(0)
    assert out[0][0] == SILENCE[ALAW]


class Walk(RuleBasedStateMachine):
    """Clips are started, stopped and ended at random, against one list of bytes per leg."""

    def __init__(self) -> None:
        super().__init__()
        self.bank, self.players, self.out = players(a=b"1" * 160, b=b"2" * 160 + b"3" * 320, c=b"")
        self.left: dict[int, bytes] = {}
        self.expected = [SILENT] * 3

    @rule(row=st.integers(0, 2), clip=st.sampled_from("abc"), loops=st.integers(1, 3))
    def start(self, row: int, clip: str, loops: int) -> None:
        self.players.start(row, found(self.bank, clip), loops=loops)
        self.left[row] = {"a": b"1", "b": b"233", "c": b""}[clip] * loops

    @rule(row=st.integers(0, 2))
    def stop(self, row: int) -> None:
        self.players.stop(row)
        self.left.pop(row, None)
        self.expected[row] = SILENT

    @rule()
    def tick(self) -> None:
        ended = self.players.advance().tolist()
        self.expected = [bytes([self.left[row][0]]) * 160 if self.left.get(row) else SILENT for row in range(3)]
        self.left = {row: rest[1:] if rest else b"" for row, rest in self.left.items()}
        assert ended == sorted(row for row, rest in self.left.items() if not rest)
        self.left = {row: rest for row, rest in self.left.items() if rest}

    @invariant()
    def plays_what_it_should(self) -> None:
        assert self.players.in_play() == {
            found(self.bank, clip).first for clip in "abc" if any(self.players_clip(row) == clip for row in self.left)
        }
        # Between ticks a row may hold its last frame or, if it was stopped, silence.
        assert [self.out[row].tobytes() for row in range(3)] == self.expected

    def players_clip(self, row: int) -> str:
        rest = self.left[row]
        return "c" if not rest else ("a" if rest[:1] == b"1" else "b")


Walk.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestWalk = Walk.TestCase
