"""The directory: whose lines, numbers and applications are ours, and which document answers a call to them.

Kept in the store and held whole in memory, so that looking up waits for nothing. What the settings file lists is laid
over what was stored, at every start, and is not stored itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from holdfast.voice.model.commands import (
    Callback,
    Instruction,
    WebRequest,
)
from holdfast.voice.model.ids import AccountSid, derive
from holdfast.voice.model.ports import KeyValues
from holdfast.voice.runtime.access import Access
from holdfast.voice.runtime.listings import (
    Application,
    Line,
    PhoneNumber,
    VoiceSettings,
    read_application,
    read_line,
    read_number,
    write,
)

E164 = re.compile(r"\+[1-9][0-9]{1,14}\Z")
LINE_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,64}\Z")
_PUNCTUATION = re.compile(r"[\s().-]+")

_LINES, _NUMBERS, _APPLICATIONS = "line", "number", "application"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What answers a call that came in: its document, who hears of its end, and the number or domain called."""

    instruction: Instruction
    callback: Callback | None = None
    phone_number_sid: str | None = None
    sip_domain_sid: str | None = None


class Directory:
    """Lines by name, numbers by E.164, applications by SID, and who has access. Make it with `open`."""

    def __init__(
        self, kv: KeyValues, *, account: AccountSid, access: Access, default_voice_url: str | None = None
    ) -> None:
        self.access = access
        self._kv = kv
        self._account = account
        self._default_voice_url = default_voice_url
        self._lines: dict[str, Line] = {}
        self._numbers: dict[str, PhoneNumber] = {}
        self._applications: dict[str, Application] = {}

    @classmethod
    async def open(
        cls,
        kv: KeyValues,
        *,
        account: AccountSid,
        now: float,
        lines: Mapping[str, str] | None = None,
        numbers: Mapping[str, VoiceSettings] | None = None,
        default_voice_url: str | None = None,
    ) -> Directory:
        """The stored directory with the settings' `lines` (name to password) and `numbers` laid over it.

        Raises: StoreFailed.
        """
        access = await Access.open(kv)
        directory = cls(kv, account=account, access=access, default_voice_url=default_voice_url)
        directory._lines = {name: read_line(text) for name, text in (await kv.get_all(_LINES)).items()}
        directory._numbers = {key: read_number(text) for key, text in (await kv.get_all(_NUMBERS)).items()}
        directory._applications = {
            sid: read_application(text) for sid, text in (await kv.get_all(_APPLICATIONS)).items()
        }
        for name, password in (lines or {}).items():
            directory._lines[name] = Line(name=name, password=password)
        for e164, voice in (numbers or {}).items():
            known = directory._numbers.get(e164)
            listed = known or directory.new_number(e164, now=now)
            directory._numbers[e164] = replace(listed, voice=voice, voice_application_sid=None)
        return directory

    # --- lines

    def line(self, name: str) -> Line | None:
        """The line of that name: one of our own, else a user of a credential list that is mapped to a domain."""
        return self._lines.get(name) or self.access.line(name)

    def lines(self) -> tuple[Line, ...]:
        """Every line, by name."""
        known = {line.name: line for line in self.access.lines()} | self._lines
        return tuple(known[name] for name in sorted(known))

    async def put_line(self, line: Line) -> None:
        """Add or replace. Raises: StoreFailed."""
        await self._kv.put(_LINES, line.name, write(line))
        self._lines[line.name] = line

    async def remove_line(self, name: str) -> bool:
        """Whether there was one to remove. Raises: StoreFailed."""
        await self._kv.remove(_LINES, name)
        return self._lines.pop(name, None) is not None

    # --- numbers

    def number(self, dialled: str) -> PhoneNumber | None:
        """The number of ours that was dialled, with or without its plus, spaces, dots, dashes and brackets."""
        return self._numbers.get(normal(dialled))

    def number_of_sid(self, sid: str) -> PhoneNumber | None:
        """The number with that SID."""
        return next((number for number in self._numbers.values() if number.sid == sid), None)

    def numbers(self) -> tuple[PhoneNumber, ...]:
        """Every number, the newest first."""
        return tuple(sorted(self._numbers.values(), key=lambda number: (-number.created_at, number.phone_number)))

    def new_number(self, e164: str, *, now: float, friendly_name: str | None = None) -> PhoneNumber:
        """A number that is not in the directory yet. Its SID follows from the number: the same at every start."""
        return PhoneNumber(
            sid=derive("PN", self._account, e164),
            phone_number=e164,
            friendly_name=friendly_name or formatted(e164),
            created_at=now,
            updated_at=now,
        )

    async def put_number(self, number: PhoneNumber) -> None:
        """Add or replace. Raises: StoreFailed."""
        await self._kv.put(_NUMBERS, number.phone_number, write(number))
        self._numbers[number.phone_number] = number

    async def remove_number(self, e164: str) -> bool:
        """Whether there was one to remove. Raises: StoreFailed."""
        await self._kv.remove(_NUMBERS, e164)
        return self._numbers.pop(e164, None) is not None

    # --- applications

    def application(self, sid: str) -> Application | None:
        """The application with that SID."""
        return self._applications.get(sid)

    def applications(self) -> tuple[Application, ...]:
        """Every application, the newest first."""
        return tuple(sorted(self._applications.values(), key=lambda each: (-each.created_at, each.sid)))

    async def put_application(self, application: Application) -> None:
        """Add or replace. Raises: StoreFailed."""
        await self._kv.put(_APPLICATIONS, application.sid, write(application))
        self._applications[application.sid] = application

    async def remove_application(self, sid: str) -> bool:
        """Whether there was one to remove. Raises: StoreFailed."""
        await self._kv.remove(_APPLICATIONS, sid)
        return self._applications.pop(sid, None) is not None

    # --- looking up

    def is_ours(self, number: str) -> bool:
        """Whether a phone number leads to one of our numbers, or to a line registered under it."""
        e164 = normal(number)
        return e164 in self._numbers or e164 in self._lines or number in self._lines

    def answer_for(self, dialled: str, *, host: str = "") -> Answer | None:
        """What answers a call: the SIP domain of that host, the number's application, its own voice URL, else the
        default voice URL.

        None when nothing does: the caller is told 404.
        """
        domain = self.access.domain_of(host)
        if domain is not None and (at_domain := domain.voice.instruction()) is not None:
            return Answer(instruction=at_domain, callback=domain.voice.callback(), sip_domain_sid=domain.sid)
        number = self.number(dialled)
        if number is not None:
            application = self._applications.get(number.voice_application_sid or "")
            voice = application.voice if application is not None else number.voice
            instruction = voice.instruction()
            if instruction is not None:
                return Answer(instruction=instruction, callback=voice.callback(), phone_number_sid=number.sid)
        if self._default_voice_url is None:
            return None
        return Answer(
            instruction=Instruction(request=WebRequest(url=self._default_voice_url)),
            phone_number_sid=number.sid if number is not None else None,
        )


def normal(number: str) -> str:
    """A phone number in E.164 when it can be read as one, else what was given.

    Phones leave out the plus and write brackets; `sip:+1555…@host` and `tel:` are not read here.
    """
    bare = _PUNCTUATION.sub("", number)
    if E164.match(bare):
        return bare
    return f"+{bare}" if E164.match(f"+{bare}") else number


def formatted(e164: str) -> str:
    """A number as people of its country write it: `(415) 555-0100` for North America, else E.164."""
    if len(e164) == 12 and e164.startswith("+1"):
        return f"({e164[2:5]}) {e164[5:8]}-{e164[8:]}"
    return e164
