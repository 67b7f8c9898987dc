"""Signing in to the console: a key is good once, for ten minutes; a session as long as it may last."""

from __future__ import annotations

import re

import pytest

from holdfast.console.sessions import (
    KEY_LASTS_S,
    MOST_KEYS,
    MOST_SESSIONS,
    SESSION_LASTS_S,
    Sessions,
    link,
)


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def sessions(time: Time) -> Sessions:
    return Sessions(now=time)


def test_keys_and_tokens_have_256_bits_and_no_two_are_the_same(sessions: Sessions) -> None:
    keys = [sessions.new_key() for _ in range(20)]
    tokens = [sessions.trade(key) for key in keys]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", each or "") for each in [*keys, *tokens])
    assert len({*keys, *tokens}) == 40


def test_a_key_is_good_once(sessions: Sessions) -> None:
    key = sessions.new_key()
    token = sessions.trade(key)
    assert sessions.of(f"Bearer {token}") is not None
    assert sessions.trade(key) is None
    assert sessions.of(f"Bearer {token}") is not None


def test_a_key_is_good_for_ten_minutes(sessions: Sessions, time: Time) -> None:
    early, late = sessions.new_key(), sessions.new_key()
    assert KEY_LASTS_S == 600
    time.now_s += KEY_LASTS_S - 1
    assert sessions.trade(early)
    time.now_s += 1
    assert sessions.trade(late) is None


@pytest.mark.parametrize("guess", ["", "x" * 43, "\ud800", "é"])
def test_a_guess_is_none_and_uses_no_key_up(sessions: Sessions, guess: str) -> None:
    key = sessions.new_key()
    assert sessions.trade(guess) is None
    assert sessions.trade(key[:-1]) is None
    assert sessions.trade(key)


def test_a_key_is_no_session_and_a_session_no_key(sessions: Sessions) -> None:
    key = sessions.new_key()
    assert sessions.of(f"Bearer {key}") is None
    token = sessions.trade(key)
    assert token is not None
    assert sessions.trade(token) is None
    assert sessions.of(f"Basic {token}") is None
    assert sessions.of(token) is None


def test_a_session_lasts_twelve_hours_however_much_it_is_used(sessions: Sessions, time: Time) -> None:
    token = sessions.trade(sessions.new_key())
    assert SESSION_LASTS_S == 12 * 3600
    for _ in range(12):
        assert sessions.of(f"bearer {token}") is not None
        time.now_s += 3600
    assert sessions.of(f"bearer {token}") is None


def test_the_oldest_key_and_the_oldest_session_make_room(sessions: Sessions) -> None:
    first, *_ = [sessions.new_key() for _ in range(MOST_KEYS + 1)]
    assert sessions.trade(first) is None
    oldest, *others = [sessions.trade(sessions.new_key()) for _ in range(MOST_SESSIONS + 1)]
    assert sessions.of(f"Bearer {oldest}") is None
    assert all(sessions.of(f"Bearer {token}") for token in others)


def test_what_is_kept_can_sign_nobody_in(sessions: Sessions) -> None:
    key = sessions.new_key()
    token = sessions.trade(sessions.new_key())
    kept = repr([vars(sessions), *map(vars, sessions._sessions.values())])
    assert key not in kept
    assert str(token) not in kept


def test_the_token_of_a_link_is_in_its_fragment_which_no_server_gets() -> None:
    assert link("https://holdfast.example/", "k-_1") == "https://holdfast.example/#key=k-_1"
