"""The account behind us, by the official Twilio SDK: Twilio's cloud, or the engine.

One class for both; they differ in the address. Nothing is ever repeated here: a change without an answer is for the
service to settle by a read.
"""

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.response import Response
from twilio.rest import Client
from twilio.rest.api.v2010.account.call import CallInstance
from twilio.rest.api.v2010.account.conference.participant import ParticipantInstance

from holdfast.holds.account import credentials
from holdfast.holds.account.credentials import CLOUD, AccountCredentials
from holdfast.holds.account.snapshots import (
    AudioQualitySnapshot,
    CallSnapshot,
    ConferenceSnapshot,
    ParticipantSnapshot,
    PhoneHoldSnapshot,
)
from holdfast.holds.account.transport import Transport
from holdfast.holds.errors import (
    AccountRefused,
    AccountTrouble,
    AccountUnreachable,
    BadInput,
    ResourceNotFound,
    WrongCredentials,
)
from holdfast.holds.ids import CallSid, ConferenceSid, QueueSid

T = TypeVar("T")

CALL_NOT_IN_PROGRESS = 21220
NOT_FOUND = 20404
LIVE_CONFERENCES = ("init", "in-progress")
PAGE = 500
MOST = 5_000
"""How many rows of one list are read at most."""


class Account:
    """An account that speaks Twilio's voice REST API. Make one with `Account.twilio()` or `Account.engine()`."""

    def __init__(self, credentials: AccountCredentials, *, timeout_s: float = 10.0) -> None:
        parts = urlsplit(credentials.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{credentials.base_url!r} is not the address of an API", fix="Say http://host:port.")
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._transport = Transport(timeout_s=timeout_s)
        client = Client(credentials.sid, credentials.token, http_client=self._transport)
        if credentials.base_url != CLOUD:
            client.api.base_url = credentials.base_url
            # These rewrite the host of every URL; they are meant for twilio.com.
            client.edge = client.region = None
        self._client = client
        self._untold: set[str] = set()

    @classmethod
    def twilio(cls, *, sid: str | None = None, token: str | None = None, timeout_s: float = 10.0) -> "Account":
        """The account of TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, on Twilio's cloud.

        Set TWILIO_API_BASE_URL or HOLDFAST_API, and the same program runs on the engine there.
        """
        return cls(credentials.of_cloud(sid=sid, token=token), timeout_s=timeout_s)

    @classmethod
    def engine(
        cls, *, url: str | None = None, sid: str | None = None, token: str | None = None, timeout_s: float = 10.0
    ) -> "Account":
        """The account of the engine: the one given, or of the environment, or of this machine's settings."""
        return cls(credentials.of_engine(url=url, sid=sid, token=token), timeout_s=timeout_s)

    @property
    def sid(self) -> str:
        return self._credentials.sid

    @property
    def token(self) -> str:
        return self._credentials.token

    @property
    def base_url(self) -> str:
        return self._credentials.base_url

    def can_reach(self, url: str) -> bool:
        """Whether the account's servers could open this URL, as far as its host name tells."""
        host = urlsplit(url).hostname
        if not host:
            return False
        return not self._in_the_cloud() or not _private(host)

    def _in_the_cloud(self) -> bool:
        host = urlsplit(self.base_url).hostname or ""
        return host == "twilio.com" or host.endswith(".twilio.com")

    async def open(self) -> None:
        await self._transport.open()

    async def close(self) -> None:
        await self._transport.close()

    # Reads.

    async def call(self, call: CallSid) -> CallSnapshot | None:
        try:
            async with _translated():
                return _call(await self._client.calls(call).fetch_async())
        except ResourceNotFound:
            return None

    async def calls(self, *, status: str | None = None, parent: CallSid | None = None) -> Sequence[CallSnapshot]:
        filters: dict[str, str] = {}
        if status is not None:
            filters["status"] = status
        if parent is not None:
            filters["parent_call_sid"] = parent
        async with _translated():
            return [_call(one) for one in await self._listed(self._client.calls, **filters)]

    async def conferences(self) -> Sequence[ConferenceSnapshot]:
        found: dict[ConferenceSid, ConferenceSnapshot] = {}
        # The running ones last: one that starts between the two reads is seen at least once.
        for status in LIVE_CONFERENCES:
            async with _translated():
                for one in await self._listed(self._client.conferences, status=status):
                    sid = ConferenceSid(_text(one.sid))
                    found[sid] = ConferenceSnapshot(sid=sid, name=one.friendly_name or "", status=str(one.status))
        return [one for one in found.values() if one.status in LIVE_CONFERENCES]

    async def participants(self, conference: ConferenceSid) -> Sequence[ParticipantSnapshot]:
        try:
            async with _translated():
                listed = self._client.conferences(conference).participants
                return [_participant(one) for one in await self._listed(listed)]
        except ResourceNotFound:
            return []

    async def participant(self, conference: ConferenceSid, call: CallSid) -> ParticipantSnapshot | None:
        try:
            async with _translated():
                return _participant(await self._client.conferences(conference).participants(call).fetch_async())
        except ResourceNotFound:
            return None

    async def queues(self) -> Sequence[tuple[QueueSid, str]]:
        async with _translated():
            found = await self._listed(self._client.queues)
            return [(QueueSid(_text(one.sid)), one.friendly_name or "") for one in found if one.current_size]

    async def find_queue(self, name: str) -> QueueSid | None:
        async with _translated():
            found = await self._listed(self._client.queues)
            return next((QueueSid(_text(one.sid)) for one in found if one.friendly_name == name), None)

    async def members(self, queue: QueueSid) -> Sequence[CallSid]:
        try:
            async with _translated():
                members = self._client.queues(queue).members
                return [CallSid(_text(one.call_sid)) for one in await self._listed(members)]
        except ResourceNotFound:
            return []

    async def waits(self, queue: QueueSid, call: CallSid) -> bool:
        try:
            async with _translated():
                await self._client.queues(queue).members(call).fetch_async()
                return True
        except ResourceNotFound:
            return False

    async def phone_holds(self) -> Sequence[PhoneHoldSnapshot]:
        def read(told: Any) -> list[PhoneHoldSnapshot]:
            return [
                PhoneHoldSnapshot(call=CallSid(_text(one["call"])), since=float(one["since"])) for one in told["holds"]
            ]

        return await self._engine_tells("phone-holds", read)

    async def sounds(self) -> Sequence[AudioQualitySnapshot]:
        def read(told: Any) -> list[AudioQualitySnapshot]:
            return [
                AudioQualitySnapshot(
                    call=CallSid(_text(one["call"])),
                    mos=None if one["mos"] is None else float(one["mos"]),
                    loss=one["packets_lost"] / max(1, one["packets_lost"] + one["packets_received"]),
                    jitter_ms=float(one["jitter_ms"]),
                )
                for one in told["calls"]
            ]

        return await self._engine_tells("quality", read)

    async def _engine_tells(self, what: str, read: Callable[[Any], list[T]]) -> list[T]:
        """What only the engine knows; nothing from any other account, which is asked for each thing once."""
        if self._in_the_cloud() or what in self._untold:
            return []
        url = f"{self.base_url.rstrip('/')}/engine/{what}"
        answer = await self._transport.request("GET", url, auth=(self.sid, self.token))
        if answer.status_code == 404:
            self._untold.add(what)
            return []
        try:
            return read(json.loads(answer.text))
        except (ValueError, KeyError, TypeError) as error:
            raise AccountTrouble(f"the engine's answer cannot be read: {error}") from error

    async def _listed(self, resource: Any, **filters: str) -> list[Any]:
        """The rows of a list. The SDK follows pages for as long as there are any, empty ones too; this ends."""
        within_s = self._timeout_s * (MOST // PAGE)
        try:
            async with asyncio.timeout(within_s):
                found: list[Any] = await resource.list_async(**filters, limit=MOST, page_size=PAGE)
                return found
        except TimeoutError as error:
            raise AccountUnreachable(f"a list did not come to its end within {within_s:g} s") from error

    # Changes.

    async def set_hold(
        self, conference: ConferenceSid, call: CallSid, *, hold: bool, url: str | None = None
    ) -> ParticipantSnapshot:
        participant = self._client.conferences(conference).participants(call)
        async with _translated():
            if hold and url is not None:
                # Documentation disagrees about the default of HoldMethod, so it is always said.
                return _participant(await participant.update_async(hold=True, hold_url=url, hold_method="GET"))
            return _participant(await participant.update_async(hold=hold))

    async def redirect(self, call: CallSid, *, twiml: str) -> None:
        async with _translated():
            await self._client.calls(call).update_async(twiml=twiml)

    async def hang_up(self, call: CallSid) -> None:
        async with _translated():
            await self._client.calls(call).update_async(status="completed")

    async def open_queue(self, name: str) -> QueueSid:
        try:
            async with _translated():
                return QueueSid(_text((await self._client.queues.create_async(friendly_name=name)).sid))
        except (WrongCredentials, ResourceNotFound):
            raise
        except AccountRefused:
            # A queue of this name exists: the account tells so by an error without its SID.
            found = await self.find_queue(name)
            if found is None:
                raise
            return found

    async def close_queue(self, queue: QueueSid) -> None:
        try:
            async with _translated():
                await self._client.queues(queue).delete_async()
        except ResourceNotFound:
            return


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """The SDK's errors as ours. The one place where they are translated."""
    try:
        yield
    except TwilioRestException as error:
        raise _refused(error.status, error.code, error.msg) from error
    except TwilioServiceException as error:
        raise _refused(error.status, error.code, error.detail or error.title) from error
    except (TwilioException, json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise _page_refused(error) or AccountTrouble(f"the account's answer cannot be read: {error}") from error


def _page_refused(error: Exception) -> AccountRefused | None:
    """What the account said to a list, which the SDK tells of as a page that cannot be fetched, answer and all."""
    answer = error.args[1] if isinstance(error, TwilioException) and len(error.args) == 2 else None
    if not isinstance(answer, Response) or answer.status_code < 400:
        return None
    try:
        told = json.loads(answer.text)
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {}
    return _refused(answer.status_code, told.get("code"), told.get("message"))


def _refused(status: int, said: object, words: object) -> AccountRefused:
    code = said if isinstance(said, int) else None
    message = f"the account refused: {words or 'it did not say why'} (HTTP {status}{f', code {code}' if code else ''})"
    if status == 404 or code in (NOT_FOUND, CALL_NOT_IN_PROGRESS):
        return ResourceNotFound(message, status=status, twilio_code=code)
    if status in (401, 403):
        return WrongCredentials(
            message,
            status=status,
            twilio_code=code,
            fix="Check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN; `holdfast account` prints the engine's.",
        )
    return AccountRefused(message, status=status, twilio_code=code)


def _text(value: str | None) -> str:
    if not value:
        raise AccountTrouble("the account's answer has no SID where one belongs")
    return value


def _call(seen: CallInstance) -> CallSnapshot:
    return CallSnapshot(
        sid=CallSid(_text(seen.sid)),
        status=str(seen.status),
        parent=CallSid(seen.parent_call_sid) if seen.parent_call_sid else None,
        from_=seen._from or "",
        to=seen.to or "",
        direction=seen.direction or "",
    )


def _participant(seen: ParticipantInstance) -> ParticipantSnapshot:
    return ParticipantSnapshot(
        call=CallSid(_text(seen.call_sid)),
        conference=ConferenceSid(_text(seen.conference_sid)),
        hold=bool(seen.hold),
        muted=bool(seen.muted),
        coaches=CallSid(seen.call_sid_to_coach) if seen.coaching and seen.call_sid_to_coach else None,
        label=seen.label,
        status=str(seen.status) if seen.status else "connected",
    )


def _private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local")) or ("." not in host and ":" not in host):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False
