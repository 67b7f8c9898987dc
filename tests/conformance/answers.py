"""Every answer of the REST door beside the table of facts: what `Place` asks is checked on its way to the test.

So no test can have an answer that breaks the reference, whatever it asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.conformance import facts

ROOT: Final = "/2010-04-01/Accounts"
ACCOUNT: Final = ROOT + "/AC[0-9a-f]{32}"
_GATE: Final = "/SIP/Domains/{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A resource in lists: under which key, and with which fields; `one` shows more of it by itself."""

    key: str
    row: Mapping[str, str]
    one: Mapping[str, str] | None = None


RESOURCES: Final = {
    "/Calls": Listed(key="calls", row=facts.CALL),
    "/Calls/{}/Events": Listed(key="events", row=facts.EVENT),
    "/Calls/{}/Notifications": Listed(key="notifications", row=facts.NOTIFICATION, one=facts.WHOLE_NOTIFICATION),
    "/Calls/{}/Recordings": Listed(key="recordings", row=facts.CALL_RECORDING),
    "/Conferences": Listed(key="conferences", row=facts.CONFERENCE),
    "/Conferences/{}/Participants": Listed(key="participants", row=facts.PARTICIPANT),
    "/Conferences/{}/Recordings": Listed(key="recordings", row=facts.CONFERENCE_RECORDING),
    "/Queues": Listed(key="queues", row=facts.QUEUE),
    "/Queues/{}/Members": Listed(key="queue_members", row=facts.MEMBER),
    "/Recordings": Listed(key="recordings", row=facts.RECORDING),
    "/Applications": Listed(key="applications", row=facts.APPLICATION),
    "/IncomingPhoneNumbers": Listed(key="incoming_phone_numbers", row=facts.NUMBER),
    "/IncomingPhoneNumbers/Local": Listed(key="incoming_phone_numbers", row=facts.NUMBER),
    "/IncomingPhoneNumbers/Mobile": Listed(key="incoming_phone_numbers", row=facts.NUMBER),
    "/IncomingPhoneNumbers/TollFree": Listed(key="incoming_phone_numbers", row=facts.NUMBER),
    "/Notifications": Listed(key="notifications", row=facts.NOTIFICATION, one=facts.WHOLE_NOTIFICATION),
    "/Keys": Listed(key="keys", row=facts.KEY),
    "/SigningKeys": Listed(key="signing_keys", row=facts.KEY),
    "/SIP/Domains": Listed(key="domains", row=facts.DOMAIN),
    "/SIP/CredentialLists": Listed(key="credential_lists", row=facts.CREDENTIAL_LIST),
    "/SIP/CredentialLists/{}/Credentials": Listed(key="credentials", row=facts.CREDENTIAL),
    f"{_GATE}/CredentialListMappings": Listed(key="credential_list_mappings", row=facts.OLD_GATE),
    f"{_GATE}/Auth/Calls/CredentialListMappings": Listed(key="contents", row=facts.GATE),
    f"{_GATE}/Auth/Registrations/CredentialListMappings": Listed(key="contents", row=facts.GATE),
}
"""By the path of the list below the account; `{}` stands for any one part."""
MADE: Final = {"/Keys": facts.NEW_KEY, "/SigningKeys": facts.NEW_KEY}
"""What shows more of itself when it is made than ever again."""


def faults(method: str, path: str, status: int, content_type: str, body: bytes) -> list[str]:
    """What in an answer is not as the reference says; nothing for sound and for paths that are not of the REST door."""
    if not path.startswith(ROOT) or content_type.startswith("audio/"):
        return []
    if status == 204:
        return [] if body == b"" else ["a 204 with a body"]
    try:
        said = json.loads(body)
    except ValueError:
        return [f"{status} is not JSON"]
    if status >= 400:
        return _error(status, said)
    return _resource(method, path.removesuffix(".json"), said)


def _error(status: int, said: Any) -> list[str]:
    shape = facts.ERROR | ({"detail": "text"} if status == 401 else {})
    found = facts.wrong(said, shape)
    if not found and said["status"] != status:
        found.append(f"status {said['status']} in a {status}")
    if not found and said["more_info"] != f"https://www.twilio.com/docs/errors/{said['code']}":
        found.append(f"more_info is not of {said['code']}")
    return found


def _resource(method: str, path: str, said: Any) -> list[str]:
    if re.fullmatch(ROOT, path):
        return _list(said, Listed(key="accounts", row=facts.ACCOUNT))
    if re.fullmatch(ACCOUNT, path):
        return facts.wrong(said, facts.ACCOUNT)
    below = re.sub(ACCOUNT, "", path, count=1)
    for template, listed in RESOURCES.items():
        if re.fullmatch(template.replace("{}", "[^/]+"), below):
            return facts.wrong(said, MADE.get(template, listed.row)) if method == "POST" else _list(said, listed)
    for template, listed in RESOURCES.items():
        if re.fullmatch(template.replace("{}", "[^/]+") + "/[^/]+", below):
            return facts.wrong(said, listed.one or listed.row)
    return [f"no table for {below}"]


def _list(said: Any, listed: Listed) -> list[str]:
    if not isinstance(said, dict) or not isinstance(said.get(listed.key), list):
        return [f"no list {listed.key}"]
    found = facts.wrong({name: said[name] for name in said if name != listed.key}, facts.ENVELOPE)
    return found + [fault for row in said[listed.key] for fault in facts.wrong(row, listed.row)]
