"""This module is the client of an account, by the official Twilio SDK: Twilio's cloud, or the engine.

One class serves both; they differ in the address. No request is repeated here: the service resolves a change without a
response by a read.
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
    AccountError,
    AccountRefused,
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
PAGE_SIZE = 500
MAX_ROWS = 5_000
"""How many rows of one list are read at most."""


class Account:
    """An account that speaks Twilio's voice REST API.

    Make one with `Account.twilio()` or `Account.engine()`.
    """

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
        self._unsupported: set[str] = set()

    @classmethod
    def twilio(cls, *, sid: str | None = None, token: str | None = None, timeout_s: float = 10.0) -> "Account":
        """Return the account of TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, on Twilio's cloud.

        Set TWILIO_API_BASE_URL or HOLDFAST_API, and the same program runs on the engine there. Raises: BadInput.
        """
        return cls(credentials.cloud_credentials(sid=sid, token=token), timeout_s=timeout_s)

    @classmethod
    def engine(
        cls, *, url: str | None = None, sid: str | None = None, token: str | None = None, timeout_s: float = 10.0
    ) -> "Account":
        """Return the engine's account: the one given, or of the environment, or of this machine's settings.

        Raises: BadInput when there is none.
        """
        return cls(credentials.engine_credentials(url=url, sid=sid, token=token), timeout_s=timeout_s)

    @property
    def sid(self) -> str:
        """Return the account's SID."""
        return self._credentials.sid

    @property
    def token(self) -> str:
        """Return the account's auth token."""
        return self._credentials.token

    @property
    def base_url(self) -> str:
        """Return the address of the account's API."""
        return self._credentials.base_url

    def can_reach(self, url: str) -> bool:
        """Return whether the account's servers could open this URL, as far as its host name shows."""
        host = urlsplit(url).hostname
        if not host:
            return False
        return not self._is_cloud() or not _is_private(host)

    def _is_cloud(self) -> bool:
        host = urlsplit(self.base_url).hostname or ""
        return host == "twilio.com" or host.endswith(".twilio.com")

    async def open(self) -> None:
        """Keep connections open between requests, until `close`."""
        await self._transport.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    # Reads.

    async def call(self, call: CallSid) -> CallSnapshot | None:
        """Return this call; None when it does not exist."""
        try:
            async with _translated_errors():
                return _call(await self._client.calls(call).fetch_async())
        except ResourceNotFound:
            return None

    async def calls(self, *, status: str | None = None, parent: CallSid | None = None) -> Sequence[CallSnapshot]:
        """Return the calls of this status, or made by this parent, newest first."""
        filters: dict[str, str] = {}
        if status is not None:
            filters["status"] = status
        if parent is not None:
            filters["parent_call_sid"] = parent
        async with _translated_errors():
            return [_call(call) for call in await self._list(self._client.calls, **filters)]

    async def conferences(self) -> Sequence[ConferenceSnapshot]:
        """Return every live conference."""
        found: dict[ConferenceSid, ConferenceSnapshot] = {}
        # Running conferences last: one that starts between the two reads is seen at least once.
        for status in LIVE_CONFERENCES:
            async with _translated_errors():
                for row in await self._list(self._client.conferences, status=status):
                    sid = ConferenceSid(_required(row.sid))
                    found[sid] = ConferenceSnapshot(sid=sid, name=row.friendly_name or "", status=str(row.status))
        return [live for live in found.values() if live.status in LIVE_CONFERENCES]

    async def participants(self, conference: ConferenceSid) -> Sequence[ParticipantSnapshot]:
        """Return the participants of this conference; none when it is over."""
        try:
            async with _translated_errors():
                listed = self._client.conferences(conference).participants
                return [_participant(row) for row in await self._list(listed)]
        except ResourceNotFound:
            return []

    async def participant(self, conference: ConferenceSid, call: CallSid) -> ParticipantSnapshot | None:
        """Return this call as a participant of this conference; None when it is not in it."""
        try:
            async with _translated_errors():
                return _participant(await self._client.conferences(conference).participants(call).fetch_async())
        except ResourceNotFound:
            return None

    async def queues(self) -> Sequence[tuple[QueueSid, str]]:
        """Return the queues that have members, with their names."""
        async with _translated_errors():
            found = await self._list(self._client.queues)
            return [(QueueSid(_required(row.sid)), row.friendly_name or "") for row in found if row.current_size]

    async def find_queue(self, name: str) -> QueueSid | None:
        """Return the queue of this name; None when it does not exist."""
        async with _translated_errors():
            found = await self._list(self._client.queues)
            return next((QueueSid(_required(row.sid)) for row in found if row.friendly_name == name), None)

    async def members(self, queue: QueueSid) -> Sequence[CallSid]:
        """Return the calls that wait in this queue."""
        try:
            async with _translated_errors():
                members = self._client.queues(queue).members
                return [CallSid(_required(row.call_sid)) for row in await self._list(members)]
        except ResourceNotFound:
            return []

    async def is_queued(self, queue: QueueSid, call: CallSid) -> bool:
        """Return whether this call waits in this queue."""
        try:
            async with _translated_errors():
                await self._client.queues(queue).members(call).fetch_async()
                return True
        except ResourceNotFound:
            return False

    async def phone_holds(self) -> Sequence[PhoneHoldSnapshot]:
        """Return the calls whose own phones hold; none from an account other than the engine."""

        def read(data: Any) -> list[PhoneHoldSnapshot]:
            return [
                PhoneHoldSnapshot(call=CallSid(_required(row["call"])), since=float(row["since"]))
                for row in data["holds"]
            ]

        return await self._read_engine("phone-holds", read)

    async def audio_quality(self) -> Sequence[AudioQualitySnapshot]:
        """Return the audio quality of live calls; none from an account other than the engine."""

        def read(data: Any) -> list[AudioQualitySnapshot]:
            return [
                AudioQualitySnapshot(
                    call=CallSid(_required(row["call"])),
                    mos=None if row["mos"] is None else float(row["mos"]),
                    loss=row["packets_lost"] / max(1, row["packets_lost"] + row["packets_received"]),
                    jitter_ms=float(row["jitter_ms"]),
                )
                for row in data["calls"]
            ]

        return await self._read_engine("quality", read)

    async def _read_engine(self, path: str, read: Callable[[Any], list[T]]) -> list[T]:
        """Read what only the engine reports; return nothing for any other account, which is asked once per path."""
        if self._is_cloud() or path in self._unsupported:
            return []
        url = f"{self.base_url.rstrip('/')}/engine/{path}"
        answer = await self._transport.request("GET", url, auth=(self.sid, self.token))
        if answer.status_code == 404:
            self._unsupported.add(path)
            return []
        try:
            return read(json.loads(answer.text))
        except (ValueError, KeyError, TypeError) as error:
            raise AccountError(f"the engine's response cannot be read: {error}") from error

    async def _list(self, resource: Any, **filters: str) -> list[Any]:
        """Return the rows of a list, within a time limit: the SDK follows pages without end, empty ones too."""
        within_s = self._timeout_s * (MAX_ROWS // PAGE_SIZE)
        try:
            async with asyncio.timeout(within_s):
                found: list[Any] = await resource.list_async(**filters, limit=MAX_ROWS, page_size=PAGE_SIZE)
                return found
        except TimeoutError as error:
            raise AccountUnreachable(f"a list did not come to its end within {within_s:g} s") from error

    # Changes.

    async def set_hold(
        self, conference: ConferenceSid, call: CallSid, *, hold: bool, url: str | None = None
    ) -> ParticipantSnapshot:
        """Hold or resume a participant. `url` is fetched by GET; None: the account's own music."""
        participant = self._client.conferences(conference).participants(call)
        async with _translated_errors():
            if hold and url is not None:
                # Documentation disagrees about the default of HoldMethod, so it is always sent.
                return _participant(await participant.update_async(hold=True, hold_url=url, hold_method="GET"))
            return _participant(await participant.update_async(hold=hold))

    async def redirect(self, call: CallSid, *, twiml: str) -> None:
        """Let a live call run this document now."""
        async with _translated_errors():
            await self._client.calls(call).update_async(twiml=twiml)

    async def hang_up(self, call: CallSid) -> None:
        """Hang up a live call."""
        async with _translated_errors():
            await self._client.calls(call).update_async(status="completed")

    async def open_queue(self, name: str) -> QueueSid:
        """Return the queue of this name, and create it if it does not exist."""
        try:
            async with _translated_errors():
                return QueueSid(_required((await self._client.queues.create_async(friendly_name=name)).sid))
        except (WrongCredentials, ResourceNotFound):
            raise
        except AccountRefused:
            # A queue of this name exists: the account reports it by an error without its SID.
            found = await self.find_queue(name)
            if found is None:
                raise
            return found

    async def close_queue(self, queue: QueueSid) -> None:
        """Remove an empty queue; a queue that does not exist is no error."""
        try:
            async with _translated_errors():
                await self._client.queues(queue).delete_async()
        except ResourceNotFound:
            return


@asynccontextmanager
async def _translated_errors() -> AsyncIterator[None]:
    """Translate the SDK's errors into ours. This is the one place that does."""
    try:
        yield
    except TwilioRestException as error:
        raise _refusal(error.status, error.code, error.msg) from error
    except TwilioServiceException as error:
        raise _refusal(error.status, error.code, error.detail or error.title) from error
    except (TwilioException, json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise _list_refused(error) or AccountError(f"the account's response cannot be read: {error}") from error


def _list_refused(error: Exception) -> AccountRefused | None:
    """Return the account's response to a list, which the SDK wraps in an error of its own."""
    answer = error.args[1] if isinstance(error, TwilioException) and len(error.args) == 2 else None
    if not isinstance(answer, Response) or answer.status_code < 400:
        return None
    try:
        data = json.loads(answer.text)
    except ValueError:
        data = None
    data = data if isinstance(data, dict) else {}
    return _refusal(answer.status_code, data.get("code"), data.get("message"))


def _refusal(status: int, raw_code: object, reason: object) -> AccountRefused:
    code = raw_code if isinstance(raw_code, int) else None
    message = f"the account refused: {reason or 'it gave no reason'} (HTTP {status}{f', code {code}' if code else ''})"
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


def _required(value: str | None) -> str:
    if not value:
        raise AccountError("the account's response lacks a SID")
    return value


def _call(seen: CallInstance) -> CallSnapshot:
    return CallSnapshot(
        sid=CallSid(_required(seen.sid)),
        status=str(seen.status),
        parent=CallSid(seen.parent_call_sid) if seen.parent_call_sid else None,
        from_=seen._from or "",
        to=seen.to or "",
        direction=seen.direction or "",
    )


def _participant(seen: ParticipantInstance) -> ParticipantSnapshot:
    return ParticipantSnapshot(
        call=CallSid(_required(seen.call_sid)),
        conference=ConferenceSid(_required(seen.conference_sid)),
        hold=bool(seen.hold),
        muted=bool(seen.muted),
        coaches=CallSid(seen.call_sid_to_coach) if seen.coaching and seen.call_sid_to_coach else None,
        label=seen.label,
        status=str(seen.status) if seen.status else "connected",
    )


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local")) or ("." not in host and ":" not in host):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False
