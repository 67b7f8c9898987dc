"""The newest notifications are kept, by call too."""

import logging

import pytest

from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.ids import CallSid, is_sid
from holdfast.voice.runtime.notifications import Notifications

ALICE, BOB = CallSid("CA" + "a" * 32), CallSid("CA" + "b" * 32)


def said(call: CallSid | None, code: int) -> LogNotification:
    return LogNotification(call=call, code=code, log=1, message=f"message {code}")


def test_newest_first_and_the_oldest_are_forgotten() -> None:
    notifications = Notifications(clock=lambda: 12.5, seed="seed", kept=3)
    for code in range(5):
        notifications.add(said(ALICE if code % 2 else BOB, code))

    assert [notice.said.code for notice in notifications.of()] == [4, 3, 2]
    assert [notice.said.code for notice in notifications.of(ALICE)] == [3]
    assert [notice.said.code for notice in notifications.of(limit=1)] == [4]
    assert {notice.at for notice in notifications.of()} == {12.5}


def test_each_has_a_sid_of_its_own() -> None:
    notifications = Notifications(clock=lambda: 0.0, seed="seed")
    for code in range(10):
        notifications.add(said(None, code))

    sids = {notice.sid for notice in notifications.of()}
    assert len(sids) == 10
    assert all(is_sid(sid, "NO") for sid in sids)


def test_an_error_is_logged_as_one(caplog: pytest.LogCaptureFixture) -> None:
    notifications = Notifications(clock=lambda: 0.0, seed="seed")
    with caplog.at_level(logging.INFO):
        notifications.add(LogNotification(call=ALICE, code=11200, log=0, message="gone", url="http://x/"))
        notifications.add(said(None, 15003))

    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert f"call={ALICE} code=11200 url=http://x/ message=gone" in caplog.text
