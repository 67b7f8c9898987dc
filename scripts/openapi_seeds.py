"""Real resources in a running engine, for a fuzzer to find: calls that live and are over, a conference, a queue, …"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from holdfast.testing.phone import Phone
from holdfast.testing.server import Server

OURS: Final = "+15550100001"
PHONES: Final = tuple(f"phone{index}" for index in range(8))
WAITS: Final = "<Response><Pause length='900'/></Response>"
DOCUMENTS: Final = (
    *["<Response><Dial><Conference>lobby</Conference></Dial></Response>"] * 3,
    *["<Response><Enqueue>waiting</Enqueue></Response>"] * 3,
    *[WAITS] * 2,
)
"""What each phone does once it is called."""
UNREACHABLE: Final = "client:nobody"
PASSWORD: Final = "Correct9horse"


class Seeder:
    """Makes resources by REST. `plant` may be called again: what has gone meanwhile is made anew."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self._base = f"{server.url}/2010-04-01/Accounts/{server.account_sid}"
        self._account = server.account_sid
        self._session = session
        self._made = 0

    async def plant(self, phones: Mapping[str, Phone]) -> dict[str, list[str]]:
        """Everything, and where its SIDs are used. A resource that is not built has no seeds."""
        for call in await self._on_the_way():
            await self._post(f"Calls/{call}", Status="canceled")
        for name, document in zip(PHONES, DOCUMENTS, strict=True):
            if phones[name].call_now is None:
                await self._post("Calls", To=f"client:{name}", From=OURS, Twiml=document)
        over = [await self._sid("Calls", To=UNREACHABLE, From=OURS, Twiml=WAITS) for _ in range(3)]
        await self._settled()
        calls = await self._list("Calls", "calls", Status="in-progress")
        noted = calls[0]["sid"]
        await self._post(f"Calls/{noted}", Unknown="noted as a warning")
        about = [each["sid"] for each in await self._list(f"Calls/{noted}/Notifications", "notifications")]
        conferences = [each["sid"] for each in await self._list("Conferences", "conferences", Status="in-progress")]
        members = await self._list(f"Conferences/{conferences[0]}/Participants", "participants")
        queues = [each["sid"] for each in await self._list("Queues", "queues") if each["current_size"]]
        waiting = await self._list(f"Queues/{queues[0]}/Members", "queue_members")
        empty = await self._sid("Queues", FriendlyName=self._name("queue"))
        recordings = [await self._sid(f"Calls/{each['sid']}/Recordings") for each in calls[:2]]
        lists = [await self._sid("SIP/CredentialLists", FriendlyName=self._name("list")) for _ in range(2)]
        applications = [await self._sid("Applications", VoiceUrl="http://127.0.0.1:9/") for _ in range(3)]
        domains = [
            await self._sid("SIP/Domains", DomainName=f"{self._name('domain')}.sip.twilio.com") for _ in range(2)
        ]
        seeds = {
            "Accounts": [self._account],
            "Calls": [*(each["sid"] for each in calls), *over],
            "Conferences": conferences[:1],
            "Participants": [each["call_sid"] for each in members],
            "Queues": [queues[0], queues[0], empty],
            "Members": [*(each["call_sid"] for each in waiting), "Front"],
            "Recordings": recordings,
            "Applications": applications,
            "ApplicationSid": applications[:1],
            "IncomingPhoneNumbers": [await self._sid("IncomingPhoneNumbers", AreaCode="555") for _ in range(3)],
            "Notifications": [each["sid"] for each in await self._list("Notifications", "notifications")][:5],
            "Conferences/{ConferenceSid}/Participants ConferenceSid": [*conferences[:1], "lobby"],
            "Calls/{CallSid}/Notifications/{Sid} CallSid": [noted],
            "Calls/{CallSid}/Notifications/{Sid} Sid": about[:5],
            "CredentialLists": lists,
            "Domains": domains,
            "Credentials": [await self._credential(lists[0]) for _ in range(2)],
            "CredentialListMappings": [await self._mapping(domains[0], lists[0])],
            "CredentialListSid": lists,
            "To": [f"client:{PHONES[-1]}", UNREACHABLE, OURS, "sip:nobody@127.0.0.1"],
            "From": [OURS, "client:somebody"],
            "PhoneNumber": [f"+1555010{self._made + each:04}" for each in range(1000, 1009)],
            "DomainName": [f"{self._name('other')}.sip.twilio.com" for _ in range(4)],
            "Password": [PASSWORD],
            "StatusCallback": ["http://127.0.0.1:9/events"],
            "Url": ["http://127.0.0.1:9/document"],
            "Twiml": [WAITS],
            "AreaCode": ["555"],
            "SendDigits": ["ww12#"],
            "Timeout": ["30"],
            "TimeLimit": ["3600"],
        }
        return {name: known for name, values in seeds.items() if (known := [value for value in values if value])}

    async def _credential(self, credentials: str) -> str:
        if not credentials:
            return ""
        user = self._name("user")
        return await self._sid(f"SIP/CredentialLists/{credentials}/Credentials", Username=user, Password=PASSWORD)

    async def _mapping(self, domain: str, credentials: str) -> str:
        if not domain:
            return ""
        for place in ("CredentialListMappings", "Auth/Calls/CredentialListMappings"):
            await self._sid(f"SIP/Domains/{domain}/{place}", CredentialListSid=credentials)
        path = f"SIP/Domains/{domain}/Auth/Registrations/CredentialListMappings"
        return await self._sid(path, CredentialListSid=credentials)

    async def _settled(self) -> None:
        """Wait until no call is on its way to being answered."""
        async with asyncio.timeout(20.0):
            while await self._on_the_way():  # noqa: ASYNC110  the server is another process; it is asked
                await asyncio.sleep(0.05)

    async def _on_the_way(self) -> list[str]:
        rows = [await self._list("Calls", "calls", Status=status) for status in ("queued", "ringing")]
        return [each["sid"] for row in rows for each in row]

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"{kind}{self._made}"

    async def _list(self, path: str, key: str, **filters: str) -> list[dict[str, Any]]:
        async with self._session.get(f"{self._base}/{path}.json", params={"PageSize": "1000", **filters}) as answer:
            answer.raise_for_status()
            rows: list[dict[str, Any]] = (await answer.json())[key]
            return rows

    async def _sid(self, path: str, **form: str) -> str:
        """The SID of something made; "" when it cannot be."""
        made = await self._post(path, **form)
        return str(made.get("sid", ""))

    async def _post(self, path: str, **form: str) -> dict[str, Any]:
        async with self._session.post(f"{self._base}/{path}.json", data=form) as answer:
            body: dict[str, Any] = await answer.json()
            return body
