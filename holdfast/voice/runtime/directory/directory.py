"""The directory: whose lines, numbers and applications are ours, which document answers a call to them, and by which
trunk other numbers leave.

Kept in the store and held whole in memory, so that looking up waits for nothing. What the settings file lists is laid
over what was stored, at every start, and is not stored itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from holdfast.voice.model.commands import (
    Callback,
    Instruction,
    WebRequest,
)
from holdfast.voice.model.ids import AccountSid, derive
from holdfast.voice.model.ports import KeyValues
from holdfast.voice.runtime.directory.access import Access
from holdfast.voice.runtime.directory.records import (
    ApplicationRecord,
    LineRecord,
    NumberRecord,
    RouteRecord,
    VoiceSettings,
    read_application,
    read_line,
    read_number,
    read_route,
    write_record,
)
from holdfast.voice.sip.effects import Address

E164 = re.compile(r"\+[1-9][0-9]{1,14}\Z")
LINE_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,64}\Z")
SHORTEST_DIGITS = 7
"""Fewer digits than this, country included, are no number that can be called from abroad. Source: ITU-T E.164 §6."""

_PUNCTUATION = re.compile(r"[\s().-]+")

PREFIX = re.compile(r"\+[0-9]{0,15}\Z")
"""What a route is for: `+` is every number, `+44` those of one country."""

DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
"""A name, or a numeric address, under which a trunk knows us."""

_LINES, _NUMBERS, _APPLICATIONS, _ROUTES = "line", "number", "application", "route"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringDocument:
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
        self._lines: dict[str, LineRecord] = {}
        self._numbers: dict[str, NumberRecord] = {}
        self._applications: dict[str, ApplicationRecord] = {}
        self._routes: dict[str, RouteRecord] = {}

    @classmethod
    async def open(
        cls,
        kv: KeyValues,
        *,
        account: AccountSid,
        now: float,
        lines: Iterable[LineRecord] = (),
        numbers: Mapping[str, VoiceSettings] | None = None,
        routes: Iterable[RouteRecord] = (),
        default_voice_url: str | None = None,
    ) -> Directory:
        """The stored directory with the settings' `lines`, `numbers` and `routes` laid over it.

        Raises: StoreFailed.
        """
        access = await Access.open(kv)
        directory = cls(kv, account=account, access=access, default_voice_url=default_voice_url)
        directory._lines = {name: read_line(text) for name, text in (await kv.get_all(_LINES)).items()}
        directory._numbers = {key: read_number(text) for key, text in (await kv.get_all(_NUMBERS)).items()}
        directory._applications = {
            sid: read_application(text) for sid, text in (await kv.get_all(_APPLICATIONS)).items()
        }
        directory._routes = {prefix: read_route(text) for prefix, text in (await kv.get_all(_ROUTES)).items()}
        directory._lines |= {line.name: line for line in lines}
        directory._routes |= {route.prefix: route for route in routes}
        for e164, voice in (numbers or {}).items():
            known = directory._numbers.get(e164)
            listed = known or directory.new_number(e164, now=now)
            directory._numbers[e164] = replace(listed, voice=voice, voice_application_sid=None)
        return directory

    # --- lines

    def line(self, name: str) -> LineRecord | None:
        """The line of that name: one of our own, else a user of a credential list that is mapped to a domain.

        Both are looked up whoever is asked for, so that the time tells nothing.
        """
        theirs = self.access.line(name)
        return self._lines.get(name, theirs)

    def lines(self) -> tuple[LineRecord, ...]:
        """Every line, by name."""
        known = {line.name: line for line in self.access.lines()} | self._lines
        return tuple(known[name] for name in sorted(known))

    async def put_line(self, line: LineRecord) -> None:
        """Add or replace. Raises: StoreFailed."""
        await self._kv.put(_LINES, line.name, write_record(line))
        self._lines[line.name] = line

    async def remove_line(self, name: str) -> bool:
        """Whether there was one to remove. Raises: StoreFailed."""
        await self._kv.remove(_LINES, name)
        return self._lines.pop(name, None) is not None

    # --- numbers

    def number(self, dialled: str) -> NumberRecord | None:
        """The number of ours that was dialled, with or without its plus, spaces, dots, dashes and brackets."""
        return self._numbers.get(normalize_number(dialled))

    def number_of_sid(self, sid: str) -> NumberRecord | None:
        """The number with that SID."""
        return next((number for number in self._numbers.values() if number.sid == sid), None)

    def numbers(self) -> tuple[NumberRecord, ...]:
        """Every number, the newest first."""
        return tuple(sorted(self._numbers.values(), key=lambda number: (-number.created_at, number.phone_number)))

    def new_number(self, e164: str, *, now: float, friendly_name: str | None = None) -> NumberRecord:
        """A number that is not in the directory yet. Its SID follows from the number: the same at every start."""
        return NumberRecord(
            sid=derive("PN", self._account, e164),
            phone_number=e164,
            friendly_name=friendly_name or format_number(e164),
            created_at=now,
            updated_at=now,
        )

    async def put_number(self, number: NumberRecord) -> None:
        """Add or replace. Raises: StoreFailed."""
        await self._kv.put(_NUMBERS, number.phone_number, write_record(number))
        self._numbers[number.phone_number] = number

    async def remove_number(self, e164: str) -> bool:
        """Whether there was one to remove. Raises: StoreFailed."""
        await self._kv.remove(_NUMBERS, e164)
        return self._numbers.pop(e164, None) is not None

    # --- applications

    def application(self, sid: str) -> ApplicationRecord | None:
        """The application with that SID."""
        return self._applications.get(sid)

    def applications(self) -> tuple[ApplicationRecord, ...]:
        """Every application, the newest first."""
        return tuple(sorted(self._applications.values(), key=lambda each: (-each.created_at, each.sid)))

    async def put_application(self, application: ApplicationRecord) -> None:
        """Add or replace. Raises: StoreFailed."""
        await self._kv.put(_APPLICATIONS, application.sid, write_record(application))
        self._applications[application.sid] = application

    async def remove_application(self, sid: str) -> bool:
        """Whether there was one to remove. Raises: StoreFailed."""
        await self._kv.remove(_APPLICATIONS, sid)
        return self._applications.pop(sid, None) is not None

    # --- routes

    def routes(self) -> tuple[RouteRecord, ...]:
        """Every route, by prefix."""
        return tuple(self._routes[prefix] for prefix in sorted(self._routes))

    def trunks(self) -> tuple[RouteRecord, ...]:
        """Every trunk, those that are only tried after others too."""
        return tuple(trunk for route in self.routes() for trunk in route.trunks)

    async def put_route(self, route: RouteRecord) -> None:
        """Add or replace. Raises: StoreFailed."""
        await self._kv.put(_ROUTES, route.prefix, write_record(route))
        self._routes[route.prefix] = route

    async def put_backup(self, prefix: str, trunk: RouteRecord | None) -> bool:
        """Add or replace the trunk that is tried after a route's own, or take it away; False without such a route.

        Raises: StoreFailed.
        """
        route = self._routes.get(prefix)
        if route is None or (trunk is None and route.backup is None):
            return False
        await self.put_route(replace(route, backup=trunk))
        return True

    async def remove_route(self, prefix: str) -> bool:
        """Whether there was one to remove. Raises: StoreFailed."""
        await self._kv.remove(_ROUTES, prefix)
        return self._routes.pop(prefix, None) is not None

    def route_for(self, number: str) -> RouteRecord | None:
        """The trunk by which a number leaves: that of the longest prefix. Our own numbers leave by none.

        Nor do short ones: what 112 or 611 means is a matter of each country, and not to be guessed.
        """
        e164 = normalize_number(number)
        if not E164.match(e164) or len(e164) <= SHORTEST_DIGITS or self.is_own_number(e164):
            return None
        fitting = [prefix for prefix in self._routes if e164.startswith(prefix)]
        return self._routes[max(fitting, key=len)] if fitting else None

    def trusts(self, host: str) -> bool:
        """Whether calls from this numeric host come in without a password."""
        return any(trunk.trusts(host) for trunk in self.trunks())

    def is_registered_as(self, user: str, host: str) -> bool:
        """Whether we register as this user with a trunk whose calls come in from this numeric host."""
        return any(trunk.register and trunk.user == user and trunk.trusts(host) for trunk in self.trunks())

    def tls_name(self, to: Address) -> str | None:
        """The name in the certificate of a trunk, when it has one of its own."""
        return next((trunk.tls_name for trunk in self.trunks() if trunk.address == to), None)

    # --- looking up

    def is_own_number(self, number: str) -> bool:
        """Whether a phone number leads to one of our numbers, or to a line registered under it."""
        e164 = normalize_number(number)
        return e164 in self._numbers or e164 in self._lines or number in self._lines

    def unreachable_reason(self, number: str) -> str:
        """Why neither a line nor a trunk takes a call to a number."""
        e164 = normalize_number(number)
        if e164 in self._numbers:
            return f"{e164} is a number of yours with no voice URL, and no line of that name to ring"
        if not E164.match(e164):
            return f"{number} is no line of ours, and no phone number in E.164, such as +15550100"
        if len(e164) <= SHORTEST_DIGITS:
            return (
                f"{number} is no number or line of ours, and too short for a trunk: "
                "give the whole number with its country, such as +15550100"
            )
        return f"{e164} is no number or line of ours, and no route fits: holdfast route add {e164[:3]} --host …"

    def answer_for(self, dialled: str, *, host: str = "") -> AnsweringDocument | None:
        """What answers a call: the SIP domain of that host, the number's application, its own voice URL, else the
        default voice URL.

        None when nothing does: the caller is told 404.
        """
        domain = self.access.domain_of(host)
        if domain is not None and (at_domain := domain.voice.instruction()) is not None:
            return AnsweringDocument(instruction=at_domain, callback=domain.voice.callback(), sip_domain_sid=domain.sid)
        number = self.number(dialled)
        if number is not None:
            application = self._applications.get(number.voice_application_sid or "")
            voice = application.voice if application is not None else number.voice
            instruction = voice.instruction()
            if instruction is not None:
                return AnsweringDocument(
                    instruction=instruction, callback=voice.callback(), phone_number_sid=number.sid
                )
        if self._default_voice_url is None:
            return None
        return AnsweringDocument(
            instruction=Instruction(request=WebRequest(url=self._default_voice_url)),
            phone_number_sid=number.sid if number is not None else None,
        )

    def answer_of_number(self, number: str) -> AnsweringDocument | None:
        """What answers a call to a number of ours; None when it is none, or nothing does."""
        return self.answer_for(number) if normalize_number(number) in self._numbers else None

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        """What answers a call to an application itself; None when there is none, or it names no document."""
        application = self._applications.get(sid)
        instruction = application.voice.instruction() if application is not None else None
        if application is None or instruction is None:
            return None
        return AnsweringDocument(instruction=instruction, callback=application.voice.callback())


def normalize_number(number: str) -> str:
    """A phone number in E.164 when it can be read as one, else what was given.

    Phones leave out the plus and write brackets; `sip:+1555…@host`, `tel:` and parameters are not read here.
    """
    bare = _PUNCTUATION.sub("", number)
    if E164.match(bare):
        return bare
    return f"+{bare}" if E164.match(f"+{bare}") else number


def format_number(e164: str) -> str:
    """A number as people of its country write it: `(415) 555-0100` for North America, else E.164."""
    if len(e164) == 12 and e164.startswith("+1"):
        return f"({e164[2:5]}) {e164[5:8]}-{e164[8:]}"
    return e164
