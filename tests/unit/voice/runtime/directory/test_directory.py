"""The directory: stored records, entries of the settings, and the document that answers a call."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.model.commands import (
    Callback,
    Instruction,
    WebRequest,
)
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ids import AccountSid, is_sid
from holdfast.voice.runtime.directory import access
from holdfast.voice.runtime.directory.collection import read_record, write_record
from holdfast.voice.runtime.directory.directory import (
    E164,
    RECORDS,
    AnsweringDocument,
    Directory,
    format_number,
)
from holdfast.voice.runtime.directory.records import (
    ApplicationRecord,
    LineRecord,
    NumberRecord,
    RouteRecord,
    VoiceSettings,
)
from holdfast.voice.runtime.sip.config.settings import SipSettings
from holdfast.voice.runtime.sip.names.located_directory import LocatedDirectory
from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.message.digest import Ha1

ACCOUNT = AccountSid("AC" + "a" * 32)
OURS = "+15550100001"
VOICE = VoiceSettings(
    voice_url="http://h/voice",
    voice_method="GET",
    voice_fallback_url="http://h/sorry",
    voice_fallback_method="GET",
    status_callback="http://h/over",
    status_callback_method="GET",
    voice_caller_id_lookup=True,
)
ANSWER = Instruction(
    request=WebRequest(url="http://h/voice", method="GET"), fallback=WebRequest(url="http://h/sorry", method="GET")
)


class Shelf:
    """Key values in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    async def put(self, kind: str, key: str, value: str) -> None:
        self.kept[kind, key] = value

    async def get_all(self, kind: str) -> Mapping[str, str]:
        return {key: value for (each, key), value in self.kept.items() if each == kind}

    async def remove(self, kind: str, key: str) -> None:
        self.kept.pop((kind, key), None)


def lines(**passwords: str) -> list[LineRecord]:
    return [LineRecord.with_password(name=name, password=password) for name, password in passwords.items()]


async def opened(
    shelf: Shelf,
    *,
    now: float = 1.0,
    lines: Iterable[LineRecord] = (),
    numbers: Mapping[str, VoiceSettings] | None = None,
    default: str | None = None,
    country: str = "US",
) -> Directory:
    return await Directory.open(
        shelf,
        account=ACCOUNT,
        now=now,
        lines=lines,
        numbers=numbers,
        default_voice_url=default,
        default_country=country,
    )


async def test_stored_records_survive_a_restart() -> None:
    shelf = Shelf()
    first = await opened(shelf)
    line = LineRecord.with_password(name="alice", password="secret", may_call=())
    number = replace(first.new_number(OURS, now=5.0), voice=VOICE, voice_application_sid="AP" + "1" * 32)
    application = ApplicationRecord(
        sid="AP" + "1" * 32, friendly_name="desk", created_at=5.0, updated_at=6.0, voice=VOICE
    )
    await first.own_lines.put(line)
    await first.numbers.put(number)
    await first.applications.put(application)
    second = await opened(shelf)
    assert (second.lines(), second.numbers.all(), second.applications.all()) == ((line,), (number,), (application,))
    assert (second.line("alice"), second.numbers.with_sid(number.sid)) == (line, number)
    assert second.applications.get(application.sid) == application


async def test_a_removed_record_is_absent_and_a_second_removal_returns_false() -> None:
    shelf = Shelf()
    directory = await opened(shelf)
    application = ApplicationRecord(sid="AP" + "1" * 32, friendly_name="desk", created_at=5.0, updated_at=6.0)
    await directory.own_lines.put(LineRecord.with_password(name="alice", password="secret"))
    await directory.numbers.put(directory.new_number(OURS, now=5.0))
    await directory.applications.put(application)
    for expected in (True, False):
        assert await directory.own_lines.remove("alice") is expected
        assert await directory.numbers.remove(OURS) is expected
        assert await directory.applications.remove(application.sid) is expected
    assert shelf.kept == {}
    assert (directory.line("alice"), directory.number(OURS), directory.applications.get(application.sid)) == (None,) * 3


async def test_entries_of_the_settings_replace_stored_ones_and_are_not_stored() -> None:
    shelf = Shelf()
    stored = await opened(shelf)
    await stored.own_lines.put(LineRecord.with_password(name="alice", password="old"))
    await stored.numbers.put(
        replace(stored.new_number(OURS, now=5.0, friendly_name="desk"), voice_application_sid="AP")
    )
    before = dict(shelf.kept)
    directory = await opened(
        shelf,
        now=9.0,
        lines=lines(alice="new", bob="b"),
        numbers={OURS: VOICE, "+15550100002": VoiceSettings()},
    )
    assert list(directory.lines()) == lines(alice="new", bob="b")
    number = directory.number(OURS)
    assert number is not None
    assert (number.friendly_name, number.voice, number.voice_application_sid) == ("desk", VOICE, None)
    assert shelf.kept == before


async def test_a_number_of_the_settings_has_the_same_sid_at_every_start() -> None:
    starts = [await opened(Shelf(), now=now, numbers={OURS: VOICE}) for now in (1.0, 2.0)]
    sids = {number.sid for directory in starts for number in directory.numbers.all()}
    assert len(sids) == 1
    assert is_sid(sids.pop(), "PN")


async def test_numbers_and_applications_are_listed_newest_first() -> None:
    directory = await opened(Shelf())
    for second, e164 in enumerate(["+15550100001", "+15550100003", "+15550100002"]):
        await directory.numbers.put(directory.new_number(e164, now=float(second // 2)))
        sid = f"AP{second:032x}"
        await directory.applications.put(
            ApplicationRecord(sid=sid, friendly_name=sid, created_at=float(second), updated_at=0.0)
        )
    assert [each.phone_number[-1] for each in directory.numbers.all()] == ["2", "1", "3"]
    assert [each.sid[-1] for each in directory.applications.all()] == ["2", "1", "0"]


# --- answers -------------------------------------------------------------------------------------------


async def test_the_voice_url_of_the_dialled_number_answers() -> None:
    directory = await opened(Shelf(), numbers={OURS: VOICE}, default="http://h/default")
    number = directory.number(OURS)
    assert number is not None
    callback = Callback(url="http://h/over", method="GET", events=("completed",))
    for dialled in (OURS, "15550100001", "+1 (555) 010-0001"):
        assert directory.answer_for(dialled) == AnsweringDocument(
            instruction=ANSWER, callback=callback, phone_number_sid=number.sid
        )


async def test_the_application_of_a_number_answers_unless_it_was_removed() -> None:
    directory = await opened(Shelf())
    application = ApplicationRecord(
        sid="AP" + "1" * 32,
        friendly_name="desk",
        created_at=5.0,
        updated_at=6.0,
        voice=VoiceSettings(voice_url="http://h/app"),
    )
    await directory.applications.put(application)
    number = replace(directory.new_number(OURS, now=5.0), voice=VOICE, voice_application_sid=application.sid)
    await directory.numbers.put(number)
    by_application = Instruction(request=WebRequest(url="http://h/app"))
    assert directory.answer_for(OURS) == AnsweringDocument(instruction=by_application, phone_number_sid=number.sid)
    await directory.applications.remove(application.sid)
    answer = directory.answer_for(OURS)
    assert answer is not None
    assert answer.instruction == ANSWER


async def test_the_default_voice_url_answers_numbers_without_their_own() -> None:
    silent = {OURS: VoiceSettings()}
    directory = await opened(Shelf(), numbers=silent, default="http://h/default")
    by_default = Instruction(request=WebRequest(url="http://h/default"))
    (number,) = directory.numbers.all()
    assert directory.answer_for(OURS) == AnsweringDocument(instruction=by_default, phone_number_sid=number.sid)
    assert directory.answer_for("anything at all") == AnsweringDocument(instruction=by_default)
    without = await opened(Shelf(), numbers=silent)
    assert (without.answer_for(OURS), without.answer_for("anything at all")) == (None, None)


async def test_our_numbers_are_those_of_the_directory_and_lines_named_by_a_number() -> None:
    directory = await opened(Shelf(), lines=lines(**{"+15550100002": "x", "100": "y"}), numbers={OURS: VOICE})
    assert [directory.is_own_number(each) for each in (OURS, "15550100002", "100", "+15550100003", "alice", "")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


# --- storage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"name": 1, "nonsense": 2}', "[1, 2]", '"x"'])
async def test_an_unreadable_record_is_an_error(text: str) -> None:
    for kind in RECORDS:
        with pytest.raises(StoreFailed):
            read_record(kind, text)
        shelf = Shelf()
        await shelf.put(kind.KIND, "x", text)
        with pytest.raises(StoreFailed):
            await opened(shelf)


@pytest.mark.parametrize(
    "change",
    [
        {"nonsense": 1},
        {"short": 1},
        {"short": "true"},
        {"name": None},
        {"may_call": ""},
        {"may_call": [1]},
        {"rtp_source": "all"},
        {"ha1": {"md5": "m", "sha256": "s", "password": "p"}},
        {"ha1": ["m", "s"]},
    ],
)
def test_a_record_with_other_fields_or_types_is_unreadable(change: dict[str, object]) -> None:
    stored = json.loads(write_record(LineRecord.with_password(name="alice", password="secret")))
    read_record(LineRecord, json.dumps(stored))
    with pytest.raises(StoreFailed, match="a stored line cannot be read: " + next(iter(change))):
        read_record(LineRecord, json.dumps(stored | change))


@given(name=st.text(), password=st.text(), may_call=st.lists(st.text()))
def test_every_line_survives_storage(name: str, password: str, may_call: list[str]) -> None:
    line = LineRecord.with_password(name=name, password=password, may_call=tuple(may_call))
    assert read_record(LineRecord, write_record(line)) == line
    assert not any(secret in repr(line) for secret in (line.ha1.md5, line.ha1.sha256))


def test_the_store_keeps_the_ha1_of_a_password_and_whether_it_is_short() -> None:
    """Source: RFC 7616 §3.4.2. Worked out here, so that neither the realm nor the way it is computed ever changes."""
    line = LineRecord.with_password(name="alice", password="wonderland", may_call=("+1",))
    assert json.loads(write_record(line)) == {
        "name": "alice",
        "ha1": {
            "md5": hashlib.md5(b"alice:holdfast:wonderland", usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(b"alice:holdfast:wonderland").hexdigest(),
        },
        "may_call": ["+1"],
        "short": False,
        "rtp_source": None,
    }
    assert [LineRecord.with_password(name="a", password="x" * n).short for n in (0, 7, 8)] == [True, True, False]


def test_an_unreadable_stored_line_is_reported_without_its_content() -> None:
    with pytest.raises(StoreFailed) as failure:
        read_record(LineRecord, '{"name": "a", "password": "hush", "may_call": []}')
    assert "hush" not in failure.value.message


@given(text=st.text(), at=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives_storage(text: str, at: float) -> None:
    number = NumberRecord(sid=text, phone_number=text, friendly_name=text, created_at=at, updated_at=at, voice=VOICE)
    assert read_record(NumberRecord, write_record(number)) == number


@given(st.from_regex(E164, fullmatch=True))
async def test_a_number_of_ours_is_recognised_with_and_without_its_plus(e164: str) -> None:
    directory = await opened(Shelf(), numbers={e164: VOICE})
    (number,) = directory.numbers.all()
    for written in (e164, e164.removeprefix("+"), f" {e164[:4]}-({e164[4:]})"):
        assert (directory.number(written), directory.e164(written)) == (number, e164)
        assert directory.new_e164(e164) == e164


@given(st.text())
async def test_a_text_is_a_number_in_e164_or_none(text: str) -> None:
    directory = await opened(Shelf())
    for number in (directory.e164(text), directory.new_e164(text)):
        assert number is None or E164.match(number)


def test_numbers_are_formatted_as_in_their_country() -> None:
    assert [format_number(each) for each in ("+14155550100", "+141555501000", "+442071838750", "client:bob")] == [
        "(415) 555-0100",
        "+141555501000",
        "+442071838750",
        "client:bob",
    ]


class Looked(access.Access):
    """A mapping that counts look-ups and iterations."""

    looked: int = 0
    gone_through: int = 0

    def line(self, name: str) -> LineRecord | None:
        self.looked += 1
        return super().line(name)

    def _collect_lines(self) -> Iterator[tuple[str, LineRecord]]:
        self.gone_through += 1
        return super()._collect_lines()


async def test_an_unknown_line_takes_as_long_to_look_up_as_a_known_one() -> None:
    shelf = Shelf()
    stored = await access.Access.open(shelf)
    doors = Looked(keys=stored.keys, lists=stored.lists, domains=stored.domains)
    users = tuple(
        access.SipUser(sid=f"SC{n}", username=f"u{n}", ha1=Ha1.of(f"u{n}", "x"), created_at=1, updated_at=1)
        for n in range(9)
    )
    await doors.lists.put(access.CredentialList(sid="CL1", friendly_name="", created_at=1, updated_at=1, users=users))
    at_door = (access.CredentialListMapping(sid="CL1", created_at=1),)
    await doors.domains.put(
        access.SipDomain(
            sid="SD1",
            domain_name="office.example",
            friendly_name="",
            created_at=1,
            updated_at=1,
            voice=VOICE,
            registrations=at_door,
        )
    )
    directory = await opened(shelf)
    directory.access = doors
    await directory.own_lines.put(LineRecord.with_password(name="own", password="x"))
    for name, found in (("own", True), ("u0", True), ("u8", True), ("nobody", False)):
        doors.looked = 0
        assert (directory.line(name) is not None) is found
        assert doors.looked == 1, name
    assert doors.gone_through == 1
    await doors.lists.remove("CL1")
    assert directory.line("u0") is None
    assert doors.gone_through == 2


async def test_of_users_with_one_name_that_of_the_newest_list_for_calls_is_valid() -> None:
    directory = await opened(Shelf())
    lists, domains = directory.access.lists, directory.access.domains

    def mapped(*numbers: int) -> tuple[access.CredentialListMapping, ...]:
        return tuple(access.CredentialListMapping(sid=f"CL{number}", created_at=1) for number in numbers)

    for number in (3, 1, 2, 4):
        ha1 = Ha1.of("carol", str(number))
        user = access.SipUser(sid=f"CR{number}", username="carol", ha1=ha1, created_at=1, updated_at=1)
        await lists.put(
            access.CredentialList(
                sid=f"CL{number}", friendly_name="", created_at=number, updated_at=number, users=(user,)
            )
        )
    domain = access.SipDomain(
        sid="SD1", domain_name="a.example", friendly_name="", created_at=1, updated_at=1, voice=VOICE
    )
    for calls, registrations, valid, allowed in (
        ((), (1, 2), "2", ()),
        ((), (2, 1), "2", ()),
        ((1, 2), (), "2", ("",)),
        ((2, 1), (3,), "2", ("",)),
        ((1,), (1, 4), "1", ("",)),
    ):
        await domains.put(replace(domain, calls=mapped(*calls), registrations=mapped(*registrations)))
        assert directory.line("carol") == LineRecord(name="carol", ha1=Ha1.of("carol", valid), may_call=allowed)
    await directory.access.remove_list("CL1")
    assert (directory.line("carol"), domains.all()[0].registrations) == (
        LineRecord(name="carol", ha1=Ha1.of("carol", "4"), may_call=()),
        mapped(4),
    )


def route(prefix: str, host: str = "203.0.113.5", **fields: Any) -> RouteRecord:
    return RouteRecord(prefix=prefix, host=host, port=5060, **fields)


async def test_a_number_takes_the_route_of_the_longest_prefix_and_our_own_take_none() -> None:
    shelf = Shelf()
    directory = await opened(shelf, lines=lines(**{"+15550100002": "x"}), numbers={OURS: VOICE})
    for each in (route("+"), route("+44", "203.0.113.6"), route("+4420", "203.0.113.7", transport="TLS")):
        await directory.routes.put(each)
    hosts = {
        number: found.host if (found := directory.route_for(number)) else None
        for number in ("+49301234567", "+44121234567", "+44 (0)20 7946 0000", OURS, "+15550100002", "alice", "+", "112")
    }
    assert hosts == {
        "+49301234567": "203.0.113.5",
        "+44121234567": "203.0.113.6",
        "+44 (0)20 7946 0000": "203.0.113.7",
        **dict.fromkeys((OURS, "+15550100002", "alice", "+", "112")),
    }
    again = await opened(shelf)
    assert again.routes.all() == directory.routes.all()
    assert await again.routes.remove("+") is True
    assert await again.routes.remove("+") is False
    assert again.route_for("+49301234567") is None


async def test_a_number_of_seven_digits_has_a_route_and_a_shorter_one_has_none() -> None:
    directory = await opened(Shelf())
    await directory.routes.put(route("+"))
    written = ("+683400", "+6834000", "+4930" + "1" * 9, "+141555512123")
    assert [directory.route_for(each) is not None for each in written] == [False, True, True, False]
    assert "too short for a trunk" in directory.unreachable_reason("+683400")
    assert "no route fits" in directory.unreachable_reason("+6834000")


@pytest.mark.parametrize(
    ("country", "written", "host"),
    [
        ("US", "4155551212", "203.0.113.1"),
        ("US", "(415) 555-1212", "203.0.113.1"),
        ("US", "+41446681800", "203.0.113.41"),
        ("US", "044 668 18 00", None),
        ("CH", "044 668 18 00", "203.0.113.41"),
        ("CH", "415-555-1212", None),
    ],
)
async def test_a_number_without_a_plus_leaves_by_the_trunk_of_its_own_country(
    country: str, written: str, host: str | None
) -> None:
    directory = await opened(Shelf(), country=country)
    for each in (route("+1", "203.0.113.1"), route("+41", "203.0.113.41")):
        await directory.routes.put(each)
    found = directory.route_for(written)
    assert (None if found is None else found.host) == host


async def test_our_own_number_is_found_before_one_abroad() -> None:
    directory = await opened(Shelf(), numbers={"+41446681800": VOICE, OURS: VOICE})
    assert [directory.e164(each) for each in ("41446681800", "(555) 010-0001", "415-555-1212")] == [
        "+41446681800",
        OURS,
        "+14155551212",
    ]
    assert directory.new_e164("415-555-1212") == "+14155551212"
    assert directory.new_e164("+123 456 789 012 345") == "+123456789012345"
    assert [directory.new_e164(each) for each in ("", "alice", "112", "+0123", "041 555 12 12 12")] == [None] * 5


async def test_a_call_from_us_to_our_own_number_is_answered_by_its_document() -> None:
    directory = await opened(Shelf(), numbers={OURS: VOICE, "+15550100003": VoiceSettings()})
    assert directory.answer_of_number(OURS) == directory.answer_for(OURS)
    assert directory.answer_of_number(OURS.removeprefix("+")) is not None
    assert directory.answer_of_number("+15550100003") is None
    by_default = await opened(Shelf(), numbers={OURS: VOICE}, default="https://app.example/all")
    assert by_default.answer_of_number("+15550100009") is None


async def test_an_unreachable_number_has_a_reason() -> None:
    directory = await opened(Shelf(), numbers={OURS: VOICE, "+15550100003": VoiceSettings()})
    await directory.routes.put(route("+44"))
    assert "yours with no voice URL, and no line of that name" in directory.unreachable_reason("+15550100003")
    assert directory.unreachable_reason("112").startswith("112 is no number or line of ours, and too short for a trunk")
    assert "cannot be a phone number of US (default_country)" in directory.unreachable_reason("0123456789")
    assert "cannot be a phone number of its country" in directory.unreachable_reason("+0123456789")
    assert directory.unreachable_reason("+49301234567").endswith("and no route fits: holdfast route add +49 --host …")


def located(directory: Directory) -> LocatedDirectory:
    """Return the directory as the SIP legs see it, where there is no DNS."""
    return LocatedDirectory(directory, SipSettings(address=("192.0.2.1", 5060)), asyncio.TaskGroup(), now=lambda: 0.0)


async def test_a_trunk_has_trusted_sources_and_a_certificate_name() -> None:
    directory = await opened(Shelf())
    await directory.routes.put(route("+1", sources=("203.0.113.0/28", "2001:db8::/32"), tls_name="sip.example"))
    assert [located(directory).trusts(host) for host in ("203.0.113.15", "203.0.113.16", "2001:db8::1")] == [
        True,
        False,
        True,
    ]
    assert located(directory).tls_name(Address("203.0.113.5", 5060)) == "sip.example"
    assert located(directory).tls_name(Address("203.0.113.6", 5060)) is None


async def test_a_route_may_have_a_backup_trunk() -> None:
    shelf = Shelf()
    directory = await opened(shelf)
    second = route("+1", "203.0.113.6", sources=("198.51.100.0/24",), tls_name="two.example")
    assert await directory.put_backup("+1", second) is False
    await directory.routes.put(route("+1"))
    assert await directory.put_backup("+1", None) is False
    assert await directory.put_backup("+1", second) is True
    assert [trunk.host for trunk in directory.trunks()] == ["203.0.113.5", "203.0.113.6"]
    assert located(directory).trusts("198.51.100.7")
    assert located(directory).tls_name(Address("203.0.113.6", 5060)) == "two.example"
    assert (await opened(shelf)).routes.all() == directory.routes.all()
    assert await directory.put_backup("+1", None) is True
    assert directory.trunks() == (route("+1"),)


async def test_a_trunk_we_register_with_may_call_from_its_own_address() -> None:
    directory = await opened(Shelf())
    await directory.routes.put(route("+1", user="acme", password="hush", register=True))
    assert [located(directory).trusts(host) for host in ("203.0.113.5", "203.0.113.6")] == [True, False]
    assert located(directory).is_registered_as("acme", "203.0.113.5")
    assert not located(directory).is_registered_as("acme", "203.0.113.6")
    assert not located(directory).is_registered_as("+15550100", "203.0.113.5")
    await directory.routes.put(route("+1", user="acme", password="hush", sources=("203.0.113.9",)))
    assert [located(directory).trusts(host) for host in ("203.0.113.5", "203.0.113.9")] == [False, True]
    assert not located(directory).is_registered_as("acme", "203.0.113.9")


def test_a_route_survives_storage_and_hides_its_password() -> None:
    kept = route("+", user="acme", password="hush", realm="r", caller_id=OURS, sources=("10.0.0.0/8",))
    assert read_record(RouteRecord, write_record(kept)) == kept
    assert "hush" not in repr(kept)


@pytest.mark.parametrize(
    ("realm", "realms"),
    [(None, ()), ("a b", ("a b",)), (" x.example,y.example, ", ("x.example,y.example,", "x.example", "y.example"))],
)
def test_a_route_names_realms_with_commas_and_a_realm_may_have_one(realm: str | None, realms: tuple[str, ...]) -> None:
    assert route("+", realm=realm).realms == realms
