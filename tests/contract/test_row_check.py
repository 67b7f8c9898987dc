"""A few unreadable rows are set aside, whole and logged, and the start continues; many are refused, untouched.

Each kind of row is written as a server writes it, and is read by a server's readers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from holdfast.cli.server.row_checks import READERS
from holdfast.holds.hold import Hold, RecordEvent, Status, WayName
from holdfast.holds.ids import CallSid as HoldCall
from holdfast.holds.ids import HoldId
from holdfast.holds.steps.pair import LegState, Pair, Party
from holdfast.store import row_check
from holdfast.store.database import DatabaseInvalid, open_database
from holdfast.store.hold_store import SqlHolds
from holdfast.store.journal import SqlJournal
from holdfast.store.key_values import SqlKeyValues
from holdfast.voice.control.entities import (
    Call,
    CallStatus,
    Member,
    Participant,
    Queue,
    Recording,
    RecordingStatus,
    Room,
)
from holdfast.voice.control.read_only_state import Step
from holdfast.voice.control.serialization import snapshots
from holdfast.voice.control.state import EngineState
from holdfast.voice.model.commands import Instruction, RecordingOptions
from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.facts import LegEnded
from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid, RecordingSid, RoomSid
from holdfast.voice.model.ports import Journal, JournalEntry
from holdfast.voice.runtime.directory.access import (
    ApiKey,
    CredentialList,
    CredentialListMapping,
    SipDomain,
)
from holdfast.voice.runtime.directory.collection import Collection
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.directory.records import (
    ApplicationRecord,
    LineRecord,
    RouteRecord,
    VoiceSettings,
)
from holdfast.voice.runtime.messages.message_record import MessageRecord
from holdfast.voice.runtime.notification_log import Notifications
from holdfast.voice.runtime.sip.registrations import StoredRegistrations
from holdfast.voice.runtime.switch import Switch
from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.registrar.registrar import Binding
from tests.engine_ports import KeptEffects, make_mailbox

ACCOUNT = AccountSid("AC" + "0" * 32)
VOICE = VoiceSettings(voice_url="http://127.0.0.1/voice")


def sid(prefix: str, number: int) -> str:
    return f"{prefix}{number:032x}"


def call(number: int, status: CallStatus = CallStatus.IN_PROGRESS) -> Call:
    return Call(
        sid=CallSid(sid("CA", number)),
        account=ACCOUNT,
        direction="inbound",
        from_="+15550001",
        to="+15550002",
        status=status,
        created_at=1_700_000_000.0,
        updated_at=1_700_000_001.0,
        instruction=Instruction(twiml="<Response/>"),
    )


NOUNS: tuple[Call | Room | Queue | Recording, ...] = (
    call(1),
    call(2),
    call(3, CallStatus.COMPLETED),
    Room(
        sid=RoomSid(sid("CF", 1)),
        account=ACCOUNT,
        kind="conference",
        name="support",
        created_at=1_700_000_000.0,
        updated_at=1_700_000_001.0,
        participants=(Participant(call=CallSid(sid("CA", 1)), joined_at=1_700_000_000.0, updated_at=1_700_000_000.0),),
    ),
    Queue(
        sid=QueueSid(sid("QU", 1)),
        account=ACCOUNT,
        name="waiting",
        created_at=1_700_000_000.0,
        updated_at=1_700_000_001.0,
        members=(Member(call=CallSid(sid("CA", 2)), entered_at=1_700_000_000.0),),
    ),
    Recording(
        sid=RecordingSid(sid("RE", 1)),
        account=ACCOUNT,
        call=CallSid(sid("CA", 1)),
        room=None,
        options=RecordingOptions(source="RecordVerb"),
        channels=1,
        status=RecordingStatus.IN_PROGRESS,
        created_at=1_700_000_000.0,
        updated_at=1_700_000_001.0,
    ),
)


async def fill(path: Path) -> None:
    """Write one row or more of each kind, as a server does."""
    async with open_database(path) as database:
        kv, journal = SqlKeyValues(database), SqlJournal(database)
        step = Step(messages=(), effects=(), nouns=NOUNS, before={})
        states = [*snapshots(step)]
        lines = [JournalEntry(at=1.0, call=sid("CA", 1), kind="sip", data=json.dumps({"n": n})) for n in range(3)]
        await journal.commit(lines, states)
        directory = await Directory.open(kv, account=ACCOUNT, now=1.0)
        await directory.own_lines.put(LineRecord.with_password(name="alice", password="correct-horse"))
        await directory.numbers.put(replace(directory.new_number("+15550100", now=1.0), voice=VOICE))
        application = ApplicationRecord(
            sid=sid("AP", 1), friendly_name="app", created_at=1.0, updated_at=1.0, voice=VOICE
        )
        await directory.applications.put(application)
        await directory.routes.put(RouteRecord(prefix="+44", host="192.0.2.1", port=5060, sources=("192.0.2.0/24",)))
        access = directory.access
        await access.keys.put(ApiKey(sid=sid("SK", 1), friendly_name="", digest="d", created_at=1.0, updated_at=1.0))
        listed = CredentialList(sid=sid("CL", 1), friendly_name="list", created_at=1.0, updated_at=1.0)
        await access.lists.put(listed)
        domain = SipDomain(
            sid=sid("SD", 1),
            domain_name="sip.example.com",
            friendly_name="",
            created_at=1.0,
            updated_at=1.0,
            voice=VOICE,
            calls=(CredentialListMapping(sid=sid("CL", 1), created_at=1.0),),
        )
        await access.domains.put(domain)
        registrations = StoredRegistrations(kv)
        contact = Binding(
            uri="sip:alice@192.0.2.1:5060",
            to=Address("192.0.2.1", 5060),
            registered_at=1.0,
            expires_at=1_900_000_000.0,
            call_id="a",
            cseq=1,
            preference=1.0,
            instance=None,
        )
        registrations.update("alice", {("sip:alice@192.0.2.1:5060", "192.0.2.1"): contact})
        await registrations.write()
        notifications = Notifications(clock=lambda: 1.0, seed="seed", store=kv)
        notifications.add(LogNotification(call=CallSid(sid("CA", 1)), code=11200, log=0, message="m", url="u"))
        await notifications.write()
        message = MessageRecord(
            sid=sid("SM", 1), created_at=1.0, updated_at=1.0, to="+14155550123", from_=None, body="", segments=1
        )
        await (await Collection.open(kv, MessageRecord)).put(message)
        holds = await SqlHolds.open(database)
        await holds.save_hold(a_hold("HD1"), [RecordEvent(kind="asked"), RecordEvent(kind="held")], at=1.0)
        await holds.save_hold(replace(a_hold("HD2"), status=Status.RESUMED), [RecordEvent(kind="resumed")], at=1.0)
        await holds.save_pair(
            Pair(
                parent=Party(call=HoldCall(sid("CA", 1)), state=LegState.PARENT),
                child=Party(call=HoldCall(sid("CA", 2)), state=LegState.CHILD),
            )
        )


def a_hold(id: str) -> Hold:
    return Hold(id=HoldId(id), call=HoldCall(sid("CA", 1)), asked_at=1.0, status=Status.HELD, way=WayName.CONFERENCE)


async def start(path: Path) -> EngineState:
    """Read all that a start reads, in the order of a server. Raises the error that would end it."""
    async with open_database(path, readers=READERS) as database:
        holds = await SqlHolds.open(database)
        await holds.holds(active_only=True)
        await holds.pairs()
        kv, journal = SqlKeyValues(database), SqlJournal(database)
        await Directory.open(kv, account=ACCOUNT, now=1.0)
        await StoredRegistrations(kv).load()
        await Notifications(clock=lambda: 1.0, seed="seed", store=kv).load()
        switch = Switch(
            journal=journal,
            mailbox=make_mailbox(lambda: 1_700_000_002.0),
            effects=KeptEffects(),
        )
        await bury(switch, journal)
        await holds.holds()
        await holds.events()
        await journal.entries("")
        return switch.state


async def bury(switch: Switch, journal: Journal) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(switch.run)
        switch.restore(await journal.load(kept=READERS.kept))
        for sid in [call.sid for call in switch.state.calls.values() if call.live]:
            switch.post(LegEnded(call=sid, cause="lost", sip_code=503))
        await switch.settled()
        tasks.cancel_scope.cancel()


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def change(path: Path, sql: str, *values: object) -> int:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, values).rowcount


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "holdfast.db"
    anyio.run(fill, path)
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "holdfast.db"
    copy.write_bytes(whole.read_bytes())
    return copy


KINDS = (
    *(f"snapshots where noun = '{noun}'" for noun in ("call", "room", "participant", "queue", "recording")),
    *(
        f"key_values where kind = '{kind}'"
        for kind in (
            *("line", "number", "application", "route", "api-key", "credential-list", "sip-domain"),
            *("registration", "notification", "message"),
        )
    ),
    "holds where active",
    "pairs where true",
)
COLUMN = {"snapshots": "data", "key_values": "value", "holds": "record", "pairs": "record"}
Damage = Callable[[bytes], str | bytes]


def with_values(change: Callable[[object], object]) -> Damage:
    """Replace every value that is no text."""

    def walk(plain: Any) -> Any:
        if isinstance(plain, dict):
            return {key: walk(value) for key, value in plain.items()}
        return [walk(value) for value in plain] if isinstance(plain, list) else change(plain)

    return lambda text: json.dumps(walk(json.loads(text)))


DAMAGES: dict[str, Damage] = {
    "half of it": lambda text: text[: len(text) // 2].decode(),
    "nothing": lambda text: "",
    "null": lambda text: "null",
    "a number": lambda text: "17",
    "an empty object": lambda text: "{}",
    "an empty array": lambda text: "[]",
    "no UTF-8": lambda text: text[:9] + b"\xff\xfe" + text[9:],
    "a blob": lambda text: bytes(range(200)),
    "nested without end": lambda text: "[" * 100_000,
    "numbers for texts": with_values(lambda value: 5 if isinstance(value, str) else value),
    "texts for numbers": with_values(lambda value: "x" if isinstance(value, int | float) else value),
    "numbers out of range": with_values(lambda value: 1e300 if isinstance(value, int | float) else value),
    "numbers that are none": with_values(lambda value: float("nan") if isinstance(value, int | float) else value),
    "endless integers": with_values(lambda value: 10**400 if isinstance(value, int | float) else value),
    "null for all": with_values(lambda value: None),
}
HARMLESS = {
    ("key_values where kind = 'registration'", "an empty array"),  # no contact
}


async def test_a_store_that_is_whole_loses_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    board = await start(path)
    assert len(board.calls) == 3
    assert rows(path, "SELECT * FROM set_aside") == []
    assert "set aside" not in caplog.text


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
async def test_an_unreadable_row_is_set_aside_and_logged(
    kind: str, damage: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = kind.split()[0]
    column = COLUMN[table]
    [(rowid, before), *_] = rows(path, f"SELECT rowid, CAST({column} AS BLOB) FROM {kind}")
    after = DAMAGES[damage](before)
    sql = f"UPDATE {table} SET {column} = {'CAST(? AS TEXT)' if isinstance(after, bytes) else '?'} WHERE rowid = ?"
    if damage == "a blob":
        sql = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
    assert change(path, sql, after, rowid) == 1
    others = rows(path, f"SELECT count(*) FROM {table} WHERE rowid <> {rowid}")
    await start(path)
    kept = rows(path, f"SELECT count(*) FROM {table} WHERE rowid = {rowid}")
    if (kind, damage) in HARMLESS:
        assert kept == [(1,)]
        return
    aside = rows(path, "SELECT from_table, what, why, record FROM set_aside")
    assert [row[0] for row in aside] == [table], (damage, after)
    if table == "snapshots":  # those that lived have ended since
        assert kept == [(0,)]
    else:
        assert (kept, rows(path, f"SELECT count(*) FROM {table}")) == ([(0,)], others)
    record = json.loads(aside[0][3])[column]
    assert record == ({"hex": after.hex()} if isinstance(after, bytes) else after)
    assert f"could not read {aside[0][1]}" in caplog.text
    assert f'sqlite3 {path} "SELECT * FROM set_aside"' in caplog.text


@pytest.mark.parametrize("number", range(len(NOUNS)))
async def test_the_engine_starts_with_references_to_a_noun_that_was_set_aside(number: int, path: Path) -> None:
    change(path, "UPDATE snapshots SET data = '{' WHERE sid = ?", NOUNS[number].sid)
    board = await start(path)
    assert not [call for call in board.calls.values() if call.live]
    await start(path)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE snapshots SET over_at = 'soon' WHERE noun = 'call'",
        "UPDATE snapshots SET over_at = 1e300 WHERE noun = 'call'",
        "UPDATE snapshots SET sid = x'ff' WHERE noun = 'room'",
        "UPDATE snapshots SET noun = 'thing' WHERE noun = 'room'",
        "UPDATE snapshots SET sid = 'CF1' WHERE noun = 'room'",
        "UPDATE key_values SET key = x'ff' WHERE kind = 'line'",
        "UPDATE holds SET asked_at = 'soon'",
        "UPDATE holds SET active = 7 WHERE active",
        "UPDATE holds SET active = 'no' WHERE id = 'HD2'",
        "UPDATE holds SET id = 'other' WHERE active",
        "UPDATE pairs SET parent = 'other'",
    ],
)
async def test_a_row_with_a_meaningless_column_is_unreadable(sql: str, path: Path) -> None:
    assert change(path, sql)
    await start(path)
    assert rows(path, "SELECT count(*) FROM set_aside") != [(0,)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET data = '{' WHERE id = 1",
        "UPDATE entries SET at = 'soon' WHERE id = 1",
        "UPDATE entries SET kind = x'ff' WHERE id = 1",
        "UPDATE entries SET data = CAST(x'7b22ff' AS TEXT) WHERE id = 1",
        "UPDATE hold_events SET status = 'lost' WHERE id = 1",
        "UPDATE hold_events SET at = 1e300 WHERE id = 1",
        "UPDATE holds SET record = '{' WHERE id = 'HD2'",
        "UPDATE holds SET record = CAST(x'7bff' AS TEXT) WHERE id = 'HD2'",
    ],
)
async def test_an_unreadable_row_of_a_later_read_is_left_out(
    sql: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert change(path, sql)
    async with open_database(path, readers=READERS) as database:
        holds, journal = await SqlHolds.open(database), SqlJournal(database)
        shown = [
            *[entry.data for entry in await journal.entries(sid("CA", 1))],
            *[event.id for event in await holds.events()],
            *[hold.id for hold in await holds.holds()],
        ]
        await holds.holds()
    whole = ['{"n": 0}', '{"n": 1}', '{"n": 2}', 1, 2, 3, "HD1", "HD2"]
    assert len(shown) in (len(whole) - 1, len(whole))
    assert set(shown) <= set(whole)
    assert caplog.text.count("cannot be read, and is left out") == len(whole) - len(shown)


@pytest.mark.parametrize(("bad", "most"), [(3, 3), (4, 3)])
async def test_too_many_unreadable_rows_refuse_the_start_untouched(
    bad: int, most: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_check, "MAX_UNREADABLE", most)
    for number in range(bad):
        change(path, "INSERT INTO key_values VALUES ('line', ?, '{')", f"line {number}")
    if bad <= most:
        await start(path)
        assert rows(path, "SELECT count(*) FROM set_aside") == [(bad,)]
        return
    before = rows(path, "SELECT * FROM key_values")
    with pytest.raises(DatabaseInvalid, match=r"4 of \d+ rows cannot be read.* not touched.*--store"):
        await start(path)
    assert rows(path, "SELECT * FROM key_values") == before
    assert rows(path, "SELECT count(*) FROM set_aside") == [(0,)]


async def test_one_in_ten_of_a_large_store_may_be_unreadable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_check, "MAX_UNREADABLE", 3)
    with closing(sqlite3.connect(path)) as connection, connection:
        [(good,)] = connection.execute("SELECT value FROM key_values WHERE kind = 'line'").fetchall()
        lines = [("line", f"line {number}", "{" if number % 12 == 0 else good) for number in range(240)]
        connection.executemany("INSERT INTO key_values VALUES (?, ?, ?)", lines)
    await start(path)
    assert rows(path, "SELECT count(*) FROM set_aside") == [(20,)]


async def test_no_secret_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = "a-password-that-nobody-sees"
    for kind in ("line", "route", "credential-list", "api-key"):
        change(path, "INSERT INTO key_values VALUES (?, 'x', ?)", kind, json.dumps({"password": [secret], secret: 1}))
    await start(path)
    assert rows(path, "SELECT count(*) FROM set_aside") == [(4,)]
    assert secret not in caplog.text
