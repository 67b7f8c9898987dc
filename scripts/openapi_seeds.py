"""Create real resources in a running engine, for a fuzzer to request: live and ended calls, a conference, a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import aiohttp

from holdfast.testing.phone import Phone
from holdfast.testing.server import Server

OURS: Final = "+15550100001"
PHONES: Final = tuple(f"phone{index}" for index in range(14))
WAITS: Final = "<Response><Pause length='900'/></Response>"
QUEUED: Final = "<Response><Enqueue>waiting</Enqueue></Response>"
DOCUMENTS: Final = (
    *["<Response><Dial><Conference record='record-from-start'>lobby</Conference></Dial></Response>"] * 3,
    "<Response><Dial><Conference startConferenceOnEnter='true'>hall</Conference></Dial></Response>",
    *[QUEUED] * 3,
    *[WAITS] * 7,
)
"""The document of each phone's call."""
UNREACHABLE: Final = "client:nobody"
PASSWORD: Final = "Correct9horse"
LIVE: Final = {"Status": "in-progress"}
PARAMETERS: Final = {
    "To": [f"client:{PHONES[-1]}", UNREACHABLE, OURS, "sip:nobody@127.0.0.1"],
    "From": [OURS, "client:somebody"],
    "Password": [PASSWORD],
    "Twiml": [WAITS],
    "AreaCode": ["555"],
    "SendDigits": ["ww12#"],
    "Timeout": ["30"],
    "TimeLimit": ["3600"],
}
"""Values that have an effect as parameters of a form."""


class SeedingFailed(Exception):
    """The engine did not do what the seeds need; the message says what."""


class Seeder:
    """Creates resources by REST. `plant` may be called again: it creates missing resources again.

    `documents` is the URL of a web server that answers every request with `WAITS`.
    """

    def __init__(self, server: Server, session: aiohttp.ClientSession, *, documents: str) -> None:
        self._parameters = PARAMETERS | {"StatusCallback": [f"{documents}/events"], "Url": [f"{documents}/document"]}
        self._engine = f"{server.url}/engine"
        self._base = f"{server.url}/2010-04-01/Accounts/{server.account_sid}"
        self._account = server.account_sid
        self._session = session
        self._made = 0

    async def plant(self, phones: Mapping[str, Phone], *, finished: bool) -> dict[str, list[str]]:
        """Create all resources and return their SIDs by place; recordings are `finished` or live."""
        seeds = await self._calls(phones) | await self._configuration() | self._parameters
        seeds |= await self._recordings(seeds, finished=finished)
        seeds["Accounts"] = [self._account]
        seeds["Notifications"] = [each["sid"] for each in await self._list("Notifications", "notifications")][:5]
        return {name: known for name, values in seeds.items() if (known := [value for value in values if value])}

    async def _calls(self, phones: Mapping[str, Phone]) -> dict[str, list[str]]:
        over = [await self._sid("Calls", To=UNREACHABLE, From=OURS, Twiml=WAITS) for _ in range(3)]
        rooms = await self._people(phones)
        live = {each["to"].removeprefix("client:"): each["sid"] for each in await self._list("Calls", "calls", **LIVE)}
        calls = [live[name] for name in PHONES if name in live]
        alone = [live[name] for name in PHONES[-7:] if name in live]
        await self._post(f"Calls/{alone[0]}", Unknown="noted as a warning")
        about = await self._list(f"Calls/{alone[0]}/Notifications", "notifications")
        lobby, hall = rooms["lobby"], rooms["hall"]
        members = await self._list(f"Conferences/{lobby}/Participants", "participants")
        queue = next(each["sid"] for each in await self._list("Queues", "queues") if each["current_size"])
        waiting = await self._list(f"Queues/{queue}/Members", "queue_members")
        return {
            "Calls": [*calls, *over],
            "Calls/{Sid} Sid": [*alone[1:], *over],
            "Calls/{CallSid}/Notifications/{Sid} CallSid": alone[:1],
            "Calls/{CallSid}/Notifications/{Sid} Sid": [each["sid"] for each in about][:5],
            "Conferences": [lobby],
            "Conferences/{Sid} Sid": [hall],
            "Conferences/{ConferenceSid}/Participants ConferenceSid": [lobby, "a room by name"],
            "Participants": [each["call_sid"] for each in members],
            "Queues": [queue],
            "Queues/{Sid} Sid": [queue, await self._sid("Queues", FriendlyName=self._name("queue"))],
            "Members": [*(each["call_sid"] for each in waiting), "Front"],
        }

    async def _people(self, phones: Mapping[str, Phone]) -> dict[str, str]:
        """End all calls, call every phone again until each is in its place, and return the conferences by name."""
        for status in ("queued", "ringing", "in-progress"):
            for call in await self._list("Calls", "calls", Status=status):
                await self._post(f"Calls/{call['sid']}", Status="completed")
        await self._until("every phone has hung up", partial(_idle, phones))
        queue = self._name("waiting")  # an earlier one may have been made too small
        placed = []
        for name, document in zip(PHONES, DOCUMENTS, strict=True):
            twiml = document.replace("waiting", queue)
            placed.append(await self._sid("Calls", To=f"client:{name}", From=OURS, Twiml=twiml))
        for sid in placed:
            await self._until(f"{sid} is answered", partial(self._answered, sid))
        rooms: dict[str, str] = {}

        async def in_place() -> bool:
            conferences = await self._list("Conferences", "conferences")
            rooms.update({each["friendly_name"]: each["sid"] for each in conferences if each["status"] != "completed"})
            sizes = [each["current_size"] for each in await self._list("Queues", "queues")]
            return {"lobby", "hall"} <= rooms.keys() and DOCUMENTS.count(QUEUED) in sizes

        await self._until("each phone is in its place", in_place)
        return rooms

    async def _answered(self, call: str) -> bool:
        """Return whether a call was answered. Raises: SeedingFailed when it ended instead, with the engine's reason."""
        status = (await self._read(f"Calls/{call}"))["status"]
        if status not in ("queued", "ringing", "in-progress"):
            async with self._session.get(f"{self._engine}/explain/{call}") as told:
                raise SeedingFailed(f"{call} is {status}: {await told.text()}")
        return bool(status == "in-progress")

    async def _configuration(self) -> dict[str, list[str]]:
        lists = [await self._sid("SIP/CredentialLists", FriendlyName=self._name("list")) for _ in range(5)]
        names = [f"{self._name('domain')}.sip.twilio.com" for _ in range(6)]
        domains = [await self._sid("SIP/Domains", DomainName=name) for name in names[:2]]
        gate, users = f"SIP/Domains/{domains[0]}", f"SIP/CredentialLists/{lists[0]}/Credentials"
        old, calls, registrations = (
            f"{way}CredentialListMappings" for way in ("", "Auth/Calls/", "Auth/Registrations/")
        )
        for way, at_gate in ((old, lists[0]), (calls, lists[3]), (registrations, lists[0])):
            await self._sid(f"{gate}/{way}", CredentialListSid=at_gate)
        gates = "SIP/Domains/{DomainSid}/"
        applications = [await self._sid("Applications", VoiceUrl="http://127.0.0.1:9/") for _ in range(3)]
        self._made += 10
        return {
            "Applications": applications,
            "ApplicationSid": applications[:1],
            "IncomingPhoneNumbers": [await self._sid("IncomingPhoneNumbers", AreaCode="555") for _ in range(3)],
            "PhoneNumber": [f"+1555010{1000 + self._made + each}" for each in range(9)],
            "CredentialLists": lists[:1],
            "SIP/CredentialLists/{Sid} Sid": lists[2:3],
            f"{gates}{old} CredentialListSid": lists[4:],
            f"{gates}{calls}/{{Sid}} Sid": lists[3:4],
            "CredentialListSid": lists[1:2],
            "CredentialListMappings": lists[:1],
            "Credentials": [await self._sid(users, Username=self._name("user"), Password=PASSWORD) for _ in range(2)],
            "Domains": domains[:1],
            "SIP/Domains/{Sid} Sid": domains[1:],
            "DomainName": names[2:],
        }

    async def _recordings(self, seeds: Mapping[str, list[str]], *, finished: bool) -> dict[str, list[str]]:
        """Record a call that only waits; return its recordings and those of the conference that records itself."""
        call, room = seeds["Calls/{CallSid}/Notifications/{Sid} CallSid"][0], seeds["Conferences"][0]
        own = [await self._sid(f"Calls/{call}/Recordings") for _ in range(2)]
        whole = [each["sid"] for each in await self._list(f"Conferences/{room}/Recordings", "recordings")]
        if finished:
            for path in [f"Calls/{call}/Recordings/{each}" for each in own if each]:
                await self._finish(path)
            for path in [f"Conferences/{room}/Recordings/{each}" for each in whole]:
                await self._finish(path)
        return {
            "Recordings": own,
            "Calls/{CallSid}/Recordings/{Sid} CallSid": [call],
            "Calls/{CallSid}/Recordings/{Sid} Sid": own[:1] if finished else own,
            "Conferences/{ConferenceSid}/Recordings/{Sid} Sid": whole,
            "Recordings/{Sid} Sid": own[1:],
        }

    async def _finish(self, path: str) -> None:
        """Stop a recording and wait for its file."""
        await self._post(path, Status="stopped")

        async def written() -> bool:
            return (await self._read(path))["status"] in ("completed", "absent")

        await self._until(f"{path} has its file", written)

    async def _until(self, what: str, so: Callable[[], Awaitable[bool]], *, within_s: float = 20.0) -> None:
        """Poll until the condition is true. Raises: SeedingFailed."""
        try:
            async with asyncio.timeout(within_s):
                while not await so():  # noqa: ASYNC110  the server is another process; it is asked
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise SeedingFailed(f"after {within_s:.0f} s it is still not so that {what}") from None

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"{kind}{self._made}"

    async def _read(self, path: str) -> dict[str, Any]:
        async with self._session.get(f"{self._base}/{path}.json") as answer:
            answer.raise_for_status()
            body: dict[str, Any] = await answer.json()
            return body

    async def _list(self, path: str, key: str, **filters: str) -> list[dict[str, Any]]:
        async with self._session.get(f"{self._base}/{path}.json", params={"PageSize": "1000", **filters}) as answer:
            answer.raise_for_status()
            rows: list[dict[str, Any]] = (await answer.json())[key]
            return rows

    async def _sid(self, path: str, **form: str) -> str:
        """Create a resource and return its SID, or "" when it is refused."""
        made = await self._post(path, **form)
        return str(made.get("sid", ""))

    async def _post(self, path: str, **form: str) -> dict[str, Any]:
        async with self._session.post(f"{self._base}/{path}.json", data=form) as answer:
            body: dict[str, Any] = await answer.json()
            return body


async def _idle(phones: Mapping[str, Phone]) -> bool:
    return all(phone.call_now is None for phone in phones.values())
