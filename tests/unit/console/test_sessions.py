"""Signing in to the console: a key can be used once, within ten minutes; a session lasts as long as it may."""

from __future__ import annotations

import re

import pytest

from holdfast.console.sessions import (
    KEY_LIFETIME_S,
    MAX_KEYS,
    MAX_SESSIONS,
    SESSION_LIFETIME_S,
    Sessions,
    sign_in_url,
)


class Time:
    """A clock that stands still until a test moves it."""

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
    tokens = [sessions.exchange_key(key) for key in keys]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", each or "") for each in [*keys, *tokens])
    assert len({*keys, *tokens}) == 40


def test_a_key_can_be_used_once(sessions: Sessions) -> None:
    key = sessions.new_key()
    token = sessions.exchange_key(key)
    assert sessions.find(f"Bearer {token}") is not None
    assert sessions.exchange_key(key) is None
    assert sessions.find(f"Bearer {token}") is not None


def test_a_key_lasts_ten_minutes(sessions: Sessions, time: Time) -> None:
    early, late = sessions.new_key(), sessions.new_key()
    assert KEY_LIFETIME_S == 600
    time.now_s += KEY_LIFETIME_S - 1
    assert sessions.exchange_key(early)
    time.now_s += 1
    assert sessions.exchange_key(late) is None


@pytest.mark.parametrize("guess", ["", "x" * 43, "\ud800", "é"])
def test_a_wrong_key_is_refused_and_uses_up_no_key(sessions: Sessions, guess: str) -> None:
    key = sessions.new_key()
    assert sessions.exchange_key(guess) is None
    assert sessions.exchange_key(key[:-1]) is None
    assert sessions.exchange_key(key)


def test_a_key_is_no_session_token_and_a_token_no_key(sessions: Sessions) -> None:
    key = sessions.new_key()
    assert sessions.find(f"Bearer {key}") is None
    token = sessions.exchange_key(key)
    assert token is not None
    assert sessions.exchange_key(token) is None
    assert sessions.find(f"Basic {token}") is None
    assert sessions.find(token) is None


def test_a_session_lasts_twelve_hours_however_much_it_is_used(sessions: Sessions, time: Time) -> None:
    token = sessions.exchange_key(sessions.new_key())
    assert SESSION_LIFETIME_S == 12 * 3600
    for _ in range(12):
        assert sessions.find(f"bearer {token}") is not None
        time.now_s += 3600
    assert sessions.find(f"bearer {token}") is None


def test_the_oldest_key_and_session_end_when_there_are_too_many(sessions: Sessions) -> None:
    first, *_ = [sessions.new_key() for _ in range(MAX_KEYS + 1)]
    assert sessions.exchange_key(first) is None
    oldest, *others = [sessions.exchange_key(sessions.new_key()) for _ in range(MAX_SESSIONS + 1)]
    assert sessions.find(f"Bearer {oldest}") is None
    assert all(sessions.find(f"Bearer {token}") for token in others)


def test_the_stored_digests_cannot_sign_in(sessions: Sessions) -> None:
    key = sessions.new_key()
    token = sessions.exchange_key(sessions.new_key())
    kept = repr([vars(sessions), *map(vars, sessions._sessions.values())])
    assert key not in kept
    assert str(token) not in kept


def test_the_token_of_a_link_is_in_its_fragment_which_no_server_gets() -> None:
    assert sign_in_url("https://holdfast.example/", "k-_1") == "https://holdfast.example/#key=k-_1"
