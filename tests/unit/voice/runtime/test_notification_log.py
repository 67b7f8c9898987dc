"""The newest notifications are kept, and can be listed by call."""

import logging
from collections.abc import Mapping

import pytest

from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ids import CallSid, is_sid
from holdfast.voice.runtime.notification_log import Notifications

ALICE, BOB = CallSid("CA" + "a" * 32), CallSid("CA" + "b" * 32)


def said(call: CallSid | None, code: int) -> LogNotification:
    return LogNotification(call=call, code=code, log=1, message=f"message {code}")


def test_notifications_are_listed_newest_first_and_the_oldest_are_dropped() -> None:
    notifications = Notifications(clock=lambda: 12.5, seed="seed", capacity=3)
    for code in range(5):
        notifications.add(said(ALICE if code % 2 else BOB, code))

    assert [notice.notification.code for notice in notifications.newest()] == [4, 3, 2]
    assert [notice.notification.code for notice in notifications.newest(ALICE)] == [3]
    assert [notice.notification.code for notice in notifications.newest(limit=1)] == [4]
    assert {notice.logged_at for notice in notifications.newest()} == {12.5}


def test_each_notification_has_its_own_sid() -> None:
    notifications = Notifications(clock=lambda: 0.0, seed="seed")
    for code in range(10):
        notifications.add(said(None, code))

    sids = {notice.sid for notice in notifications.newest()}
    assert len(sids) == 10
    assert all(is_sid(sid, "NO") for sid in sids)


def test_an_error_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    notifications = Notifications(clock=lambda: 0.0, seed="seed")
    with caplog.at_level(logging.INFO):
        notifications.add(LogNotification(call=ALICE, code=11200, log=0, message="gone", url="http://x/"))
        notifications.add(said(None, 15003))

    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert f"call={ALICE} code=11200 url=http://x/ message=gone" in caplog.text


def test_no_password_is_kept_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    notifications = Notifications(clock=lambda: 0.0, seed="seed")
    url = "http://user:hush@x/a"
    notifications.add(LogNotification(call=ALICE, code=11200, log=0, message=f"{url} is gone", url=url))
    (notice,) = notifications.newest()
    assert (notice.notification.url, notice.notification.message) == ("http://x/a", "http://x/a is gone")
    assert "hush" not in caplog.text


class Shelf:
    """A store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.fails = False

    async def put(self, kind: str, key: str, value: str) -> None:
        if self.fails:
            raise StoreFailed("the disk is full")
        self.kept[key] = value

    async def get_all(self, kind: str) -> Mapping[str, str]:
        return dict(self.kept)

    async def remove(self, kind: str, key: str) -> None:
        self.kept.pop(key, None)


async def test_notifications_survive_a_restart_and_the_store_keeps_no_more_than_memory() -> None:
    shelf, times = Shelf(), iter(range(100))
    first = Notifications(clock=lambda: float(next(times)), seed="one", capacity=3, store=shelf)
    for code in range(5):
        first.add(said(ALICE, code))
        await first.write()
    assert len(shelf.kept) == 3
    second = Notifications(clock=lambda: float(next(times)), seed="two", capacity=3, store=shelf)
    second.add(said(BOB, 5))
    await second.load()
    assert [notice.notification.code for notice in second.newest()] == [5, 4, 3]
    assert second.newest(ALICE) == first.newest(ALICE)[:2]
    await second.write()
    assert len(shelf.kept) == 3


async def test_a_notification_dropped_before_it_is_written_is_never_written() -> None:
    shelf = Shelf()
    notifications = Notifications(clock=lambda: 0.0, seed="seed", capacity=2, store=shelf)
    for code in range(5):
        notifications.add(said(None, code))
    await notifications.write()
    assert set(shelf.kept) == {notice.sid for notice in notifications.newest()}


async def test_a_failing_store_and_an_unreadable_entry_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    notifications = Notifications(clock=lambda: 0.0, seed="seed", store=shelf)
    shelf.fails = True
    notifications.add(said(None, 1))
    await notifications.write()
    assert "could not be stored yet: the disk is full" in caplog.text
    shelf.kept |= {"NO1": "{}", "NO2": "no json"}
    await notifications.load()
    assert [notice.notification.code for notice in notifications.newest()] == [1]
    assert caplog.text.count("a stored notification cannot be read") == 2


async def test_a_notification_that_could_not_be_stored_is_written_again() -> None:
    shelf = Shelf()
    notifications = Notifications(clock=lambda: 0.0, seed="seed", capacity=2, store=shelf)
    notifications.add(said(None, 0))
    await notifications.write()
    shelf.fails = True
    for code in (1, 2, 3):
        notifications.add(said(None, code))
        assert not await notifications.write()
    shelf.fails = False
    assert await notifications.write()
    assert set(shelf.kept) == {notice.sid for notice in notifications.newest()}


async def test_a_notification_dropped_while_it_is_written_is_removed() -> None:
    shelf = Shelf()
    notifications = Notifications(clock=lambda: 0.0, seed="seed", capacity=1, store=shelf)
    put = shelf.put

    async def meanwhile(kind: str, key: str, value: str) -> None:
        await put(kind, key, value)
        if len(shelf.kept) == 1:
            notifications.add(said(None, 2))

    shelf.put = meanwhile  # type: ignore[method-assign]  # an action during the write
    notifications.add(said(None, 1))
    await notifications.write()
    assert [notice.notification.code for notice in notifications.newest()] == [2]
    assert set(shelf.kept) == {notice.sid for notice in notifications.newest()}


async def test_without_a_store_nothing_is_written() -> None:
    notifications = Notifications(clock=lambda: 0.0, seed="seed")
    notifications.add(said(None, 1))
    await notifications.load()
    await notifications.write()
    assert len(notifications.newest()) == 1
