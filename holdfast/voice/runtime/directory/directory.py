"""Look up lines, numbers and applications, the documents that answer calls to them, and the trunks of other numbers.

The directory is stored, and held in memory, so that no look-up waits. Entries of the settings file replace stored ones
at every start, and are not stored themselves.
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
"""With fewer digits, country code included, a number is not international. Source: ITU-T E.164 §6."""

_PUNCTUATION = re.compile(r"[\s().-]+")

PREFIX = re.compile(r"\+[0-9]{0,15}\Z")
"""The prefix of a route: `+` means every number, `+44` those of one country."""

DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
"""The name or numeric address under which a trunk knows this engine."""

_LINES, _NUMBERS, _APPLICATIONS, _ROUTES = "line", "number", "application", "route"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringDocument:
    """The document that answers an inbound call, with its status callback and the number or domain that was called."""

    instruction: Instruction
    callback: Callback | None = None
    phone_number_sid: str | None = None
    sip_domain_sid: str | None = None


class Directory:
    """A directory holds lines by name, numbers by E.164, applications by SID, and `Access`. Create it with `open`."""

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
        """Load the stored directory, with `lines`, `numbers` and `routes` of the settings in place of stored ones.

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
        """Return the line with this name, else the user of a credential list that is mapped to a domain, or None.

        Both are always looked up, so that the response time reveals nothing.
        """
        mapped_user = self.access.line(name)
        return self._lines.get(name, mapped_user)

    def lines(self) -> tuple[LineRecord, ...]:
        """Return every line, by name."""
        known = {line.name: line for line in self.access.lines()} | self._lines
        return tuple(known[name] for name in sorted(known))

    async def put_line(self, line: LineRecord) -> None:
        """Add or replace a line. Raises: StoreFailed."""
        await self._kv.put(_LINES, line.name, write_record(line))
        self._lines[line.name] = line

    async def remove_line(self, name: str) -> bool:
        """Remove a line, and return whether there was one. Raises: StoreFailed."""
        await self._kv.remove(_LINES, name)
        return self._lines.pop(name, None) is not None

    # --- numbers

    def number(self, dialled: str) -> NumberRecord | None:
        """Return our number that was dialled, with or without plus, spaces, dots, dashes and brackets, or None."""
        return self._numbers.get(normalize_number(dialled))

    def number_of_sid(self, sid: str) -> NumberRecord | None:
        """Return the number with this SID, or None."""
        return next((number for number in self._numbers.values() if number.sid == sid), None)

    def numbers(self) -> tuple[NumberRecord, ...]:
        """Return every number, the newest first."""
        return tuple(sorted(self._numbers.values(), key=lambda number: (-number.created_at, number.phone_number)))

    def new_number(self, e164: str, *, now: float, friendly_name: str | None = None) -> NumberRecord:
        """Return a number that is not in the directory yet; its SID is derived from the number."""
        return NumberRecord(
            sid=derive("PN", self._account, e164),
            phone_number=e164,
            friendly_name=friendly_name or format_number(e164),
            created_at=now,
            updated_at=now,
        )

    async def put_number(self, number: NumberRecord) -> None:
        """Add or replace a number. Raises: StoreFailed."""
        await self._kv.put(_NUMBERS, number.phone_number, write_record(number))
        self._numbers[number.phone_number] = number

    async def remove_number(self, e164: str) -> bool:
        """Remove a number, and return whether there was one. Raises: StoreFailed."""
        await self._kv.remove(_NUMBERS, e164)
        return self._numbers.pop(e164, None) is not None

    # --- applications

    def application(self, sid: str) -> ApplicationRecord | None:
        """Return the application with this SID, or None."""
        return self._applications.get(sid)

    def applications(self) -> tuple[ApplicationRecord, ...]:
        """Return every application, the newest first."""
        return tuple(sorted(self._applications.values(), key=lambda each: (-each.created_at, each.sid)))

    async def put_application(self, application: ApplicationRecord) -> None:
        """Add or replace an application. Raises: StoreFailed."""
        await self._kv.put(_APPLICATIONS, application.sid, write_record(application))
        self._applications[application.sid] = application

    async def remove_application(self, sid: str) -> bool:
        """Remove an application, and return whether there was one. Raises: StoreFailed."""
        await self._kv.remove(_APPLICATIONS, sid)
        return self._applications.pop(sid, None) is not None

    # --- routes

    def routes(self) -> tuple[RouteRecord, ...]:
        """Return every route, by prefix."""
        return tuple(self._routes[prefix] for prefix in sorted(self._routes))

    def trunks(self) -> tuple[RouteRecord, ...]:
        """Return every trunk, including those that are tried only after others."""
        return tuple(trunk for route in self.routes() for trunk in route.trunks)

    async def put_route(self, route: RouteRecord) -> None:
        """Add or replace a route. Raises: StoreFailed."""
        await self._kv.put(_ROUTES, route.prefix, write_record(route))
        self._routes[route.prefix] = route

    async def put_backup(self, prefix: str, trunk: RouteRecord | None) -> bool:
        """Add, replace or remove the trunk that is tried after a route's own; return False without such a route.

        Raises: StoreFailed.
        """
        route = self._routes.get(prefix)
        if route is None or (trunk is None and route.backup is None):
            return False
        await self.put_route(replace(route, backup=trunk))
        return True

    async def remove_route(self, prefix: str) -> bool:
        """Remove a route, and return whether there was one. Raises: StoreFailed."""
        await self._kv.remove(_ROUTES, prefix)
        return self._routes.pop(prefix, None) is not None

    def route_for(self, number: str) -> RouteRecord | None:
        """Return the route of a number, the one with the longest prefix, or None for our own numbers.

        Short numbers have no route either: the meaning of 112 or 611 depends on the country.
        """
        e164 = normalize_number(number)
        if not E164.match(e164) or len(e164) <= SHORTEST_DIGITS or self.is_own_number(e164):
            return None
        fitting = [prefix for prefix in self._routes if e164.startswith(prefix)]
        return self._routes[max(fitting, key=len)] if fitting else None

    def trusts(self, host: str) -> bool:
        """Return whether calls from this numeric host are accepted without authentication."""
        return any(trunk.trusts(host) for trunk in self.trunks())

    def is_registered_as(self, user: str, host: str) -> bool:
        """Return whether we register as this user with a trunk whose calls arrive from this numeric host."""
        return any(trunk.register and trunk.user == user and trunk.trusts(host) for trunk in self.trunks())

    def tls_name(self, to: Address) -> str | None:
        """Return the name in a trunk's certificate, if that is not its address."""
        return next((trunk.tls_name for trunk in self.trunks() if trunk.address == to), None)

    # --- looking up

    def is_own_number(self, number: str) -> bool:
        """Return whether a phone number is one of our numbers, or the name of a line."""
        e164 = normalize_number(number)
        return e164 in self._numbers or e164 in self._lines or number in self._lines

    def unreachable_reason(self, number: str) -> str:
        """Return the reason why neither a line nor a trunk accepts a call to a number."""
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
        """Return the document that answers a call, or None: the caller then receives 404.

        It is that of the SIP domain of the host, else of the number's application, else of the number itself, else the
        default voice URL.
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
        """Return the document that answers a call to one of our numbers; None for other numbers or without one."""
        return self.answer_for(number) if normalize_number(number) in self._numbers else None

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        """Return the document that answers a call to an application; None without an application or document."""
        application = self._applications.get(sid)
        instruction = application.voice.instruction() if application is not None else None
        if application is None or instruction is None:
            return None
        return AnsweringDocument(instruction=instruction, callback=application.voice.callback())


def normalize_number(number: str) -> str:
    """Return a phone number in E.164 if it can be parsed as one, else unchanged.

    Phones omit the plus and write brackets; `sip:+1555…@host`, `tel:` and parameters are not parsed here.
    """
    bare = _PUNCTUATION.sub("", number)
    if E164.match(bare):
        return bare
    return f"+{bare}" if E164.match(f"+{bare}") else number


def format_number(e164: str) -> str:
    """Format a number as written in its country: `(415) 555-0100` for North America, else E.164."""
    if len(e164) == 12 and e164.startswith("+1"):
        return f"({e164[2:5]}) {e164[5:8]}-{e164[8:]}"
    return e164
