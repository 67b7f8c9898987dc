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
from holdfast.voice.model.phone_numbers import bare_number, is_short, read_number, spellings
from holdfast.voice.model.ports import KeyValues
from holdfast.voice.runtime.directory.access import Access, ApiKey, CredentialList, SipDomain
from holdfast.voice.runtime.directory.collection import Collection, DirectoryRecord
from holdfast.voice.runtime.directory.records import (
    ApplicationRecord,
    LineRecord,
    NumberRecord,
    RouteRecord,
    VoiceSettings,
)

E164 = re.compile(r"\+[1-9][0-9]{1,14}\Z")
LINE_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,64}\Z")

PREFIX = re.compile(r"\+[0-9]{0,15}\Z")
"""The prefix of a route: `+` means every number, `+44` those of one country."""

DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
"""The name or numeric address under which a trunk knows this engine."""

RECORDS: tuple[type[DirectoryRecord], ...] = (
    *(LineRecord, NumberRecord, ApplicationRecord, RouteRecord),
    *(ApiKey, CredentialList, SipDomain),
)
"""The kinds of records that the directory stores."""


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
        self,
        *,
        account: AccountSid,
        access: Access,
        own_lines: Collection[LineRecord],
        numbers: Collection[NumberRecord],
        applications: Collection[ApplicationRecord],
        routes: Collection[RouteRecord],
        default_voice_url: str | None = None,
        default_country: str = "US",
    ) -> None:
        self.access = access
        self.own_lines = own_lines
        self.numbers = numbers
        self.applications = applications
        self.routes = routes
        self._account = account
        self._default_voice_url = default_voice_url
        self._default_country = default_country

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
        default_country: str = "US",
    ) -> Directory:
        """Load the stored directory, with `lines`, `numbers` and `routes` of the settings in place of stored ones.

        Raises: StoreFailed.
        """
        directory = cls(
            account=account,
            access=await Access.open(kv),
            own_lines=await Collection.open(kv, LineRecord),
            numbers=await Collection.open(kv, NumberRecord),
            applications=await Collection.open(kv, ApplicationRecord),
            routes=await Collection.open(kv, RouteRecord),
            default_voice_url=default_voice_url,
            default_country=default_country,
        )
        directory.own_lines.preset(lines)
        directory.routes.preset(routes)
        for e164, voice in (numbers or {}).items():
            number = directory.numbers.get(e164) or directory.new_number(e164, now=now)
            directory.numbers.preset([replace(number, voice=voice, voice_application_sid=None)])
        return directory

    # --- lines

    def line(self, name: str) -> LineRecord | None:
        """Return the line with this name, else the user of a credential list that is mapped to a domain, or None.

        Both are always looked up, so that the response time reveals nothing.
        """
        mapped_user = self.access.line(name)
        return self.own_lines.get(name) or mapped_user

    def lines(self) -> tuple[LineRecord, ...]:
        """Return every line, by name."""
        known = {line.name: line for line in (*self.access.lines(), *self.own_lines.all())}
        return tuple(known[name] for name in sorted(known))

    # --- numbers

    def number(self, dialled: str) -> NumberRecord | None:
        """Return our number that was dialled, as it is written in E.164, in the default country, or without plus."""
        found = (self.numbers.get(each) for each in spellings(dialled, self._default_country))
        return next((number for number in found if number is not None), None)

    def e164(self, written: str) -> str | None:
        """Return a phone number in E.164, or None for a text that cannot be one.

        Our numbers, and lines named by a number, are recognised in every form; any other number is read as it is
        dialled in the default country.
        """
        forms = spellings(written, self._default_country)
        ours = (each for each in forms if each in self.numbers or each in self.own_lines)
        return next(ours, None) or read_number(written, self._default_country)

    def written_forms(self, party: str | None) -> tuple[str, ...]:
        """Return the forms in which a record may have a party that a filter names; none without a filter."""
        return () if party is None else (party, self.e164(party) or party)

    def new_e164(self, written: str) -> str | None:
        """Return the form in which a number of ours is stored, or None. One with a plus may be in no country's plan."""
        bare = bare_number(written) or ""
        return bare if E164.match(bare) else read_number(bare, self._default_country)

    def new_number(self, e164: str, *, now: float, friendly_name: str | None = None) -> NumberRecord:
        """Return a number that is not in the directory yet; its SID is derived from the number."""
        return NumberRecord(
            sid=derive("PN", self._account, e164),
            phone_number=e164,
            friendly_name=friendly_name or format_number(e164),
            created_at=now,
            updated_at=now,
        )

    # --- routes

    def trunks(self) -> tuple[RouteRecord, ...]:
        """Return every trunk, including those that are tried only after others."""
        return tuple(trunk for route in self.routes.all() for trunk in route.trunks)

    async def put_backup(self, prefix: str, trunk: RouteRecord | None) -> bool:
        """Add, replace or remove the trunk that is tried after a route's own; return False without such a route.

        Raises: StoreFailed.
        """
        route = self.routes.get(prefix)
        if route is None or (trunk is None and route.backup is None):
            return False
        await self.routes.put(replace(route, backup=trunk))
        return True

    def route_for(self, number: str) -> RouteRecord | None:
        """Return the route of a number, the one with the longest prefix, or None for our own numbers.

        Short numbers have no route either: the meaning of 112 or 611 depends on the country.
        """
        e164 = self.e164(number)
        if e164 is None or is_short(e164) or self.is_own_number(e164):
            return None
        fitting = [route for route in self.routes.all() if e164.startswith(route.prefix)]
        return max(fitting, key=lambda route: len(route.prefix), default=None)

    # --- looking up

    def is_own_number(self, number: str) -> bool:
        """Return whether a phone number is one of our numbers, or the name of a line."""
        e164 = self.e164(number) or number
        return e164 in self.numbers or e164 in self.own_lines or number in self.own_lines

    def unreachable_reason(self, number: str) -> str:
        """Return the reason why neither a line nor a trunk accepts a call to a number."""
        e164 = self.e164(number)
        if e164 is not None and e164 in self.numbers:
            return f"{e164} is a number of yours with no voice URL, and no line of that name to ring"
        if is_short(number):
            return (
                f"{number} is no number or line of ours, and too short for a trunk: "
                "give the whole number with its country, such as +15550100"
            )
        if e164 is None:
            return (
                f"{number} is no line of ours, and cannot be a phone number of "
                f"{'its country' if number.startswith('+') else f'{self._default_country} (default_country)'}"
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
            application = self.applications.get(number.voice_application_sid or "")
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
        return self.answer_for(number) if self.number(number) is not None else None

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        """Return the document that answers a call to an application; None without an application or document."""
        application = self.applications.get(sid)
        instruction = application.voice.instruction() if application is not None else None
        if application is None or instruction is None:
            return None
        return AnsweringDocument(instruction=instruction, callback=application.voice.callback())


def format_number(e164: str) -> str:
    """Format a number as written in its country: `(415) 555-0100` for North America, else E.164."""
    if len(e164) == 12 and e164.startswith("+1"):
        return f"({e164[2:5]}) {e164[5:8]}-{e164[8:]}"
    return e164
