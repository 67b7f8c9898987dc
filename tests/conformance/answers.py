"""Every answer of the REST API is compared with the table of facts: `RestApi` checks it before the test gets it.

So every test fails on an answer that breaks the reference.
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
class ListResource:
    """A resource in lists: its key and its fields; `single` is for a resource with more fields when fetched alone."""

    key: str
    row: Mapping[str, str]
    single: Mapping[str, str] | None = None


RESOURCES: Final = {
    "/Calls": ListResource(key="calls", row=facts.CALL),
    "/Calls/{}/Events": ListResource(key="events", row=facts.EVENT),
    "/Calls/{}/Notifications": ListResource(
        key="notifications", row=facts.NOTIFICATION, single=facts.FULL_NOTIFICATION
    ),
    "/Calls/{}/Recordings": ListResource(key="recordings", row=facts.CALL_RECORDING),
    "/Conferences": ListResource(key="conferences", row=facts.CONFERENCE),
    "/Conferences/{}/Participants": ListResource(key="participants", row=facts.PARTICIPANT),
    "/Conferences/{}/Recordings": ListResource(key="recordings", row=facts.CONFERENCE_RECORDING),
    "/Queues": ListResource(key="queues", row=facts.QUEUE),
    "/Queues/{}/Members": ListResource(key="queue_members", row=facts.MEMBER),
    "/Recordings": ListResource(key="recordings", row=facts.RECORDING),
    "/Applications": ListResource(key="applications", row=facts.APPLICATION),
    "/IncomingPhoneNumbers": ListResource(key="incoming_phone_numbers", row=facts.NUMBER),
    "/IncomingPhoneNumbers/Local": ListResource(key="incoming_phone_numbers", row=facts.NUMBER),
    "/IncomingPhoneNumbers/Mobile": ListResource(key="incoming_phone_numbers", row=facts.NUMBER),
    "/IncomingPhoneNumbers/TollFree": ListResource(key="incoming_phone_numbers", row=facts.NUMBER),
    "/Notifications": ListResource(key="notifications", row=facts.NOTIFICATION, single=facts.FULL_NOTIFICATION),
    "/Messages": ListResource(key="messages", row=facts.MESSAGE),
    "/Keys": ListResource(key="keys", row=facts.KEY),
    "/SigningKeys": ListResource(key="signing_keys", row=facts.KEY),
    "/SIP/Domains": ListResource(key="domains", row=facts.DOMAIN),
    "/SIP/CredentialLists": ListResource(key="credential_lists", row=facts.CREDENTIAL_LIST),
    "/SIP/CredentialLists/{}/Credentials": ListResource(key="credentials", row=facts.CREDENTIAL),
    f"{_GATE}/CredentialListMappings": ListResource(key="credential_list_mappings", row=facts.LEGACY_MAPPING),
    f"{_GATE}/Auth/Calls/CredentialListMappings": ListResource(key="contents", row=facts.MAPPING),
    f"{_GATE}/Auth/Registrations/CredentialListMappings": ListResource(key="contents", row=facts.MAPPING),
}
"""By the path of the list below the account; `{}` stands for any one part."""
CREATED: Final = {"/Keys": facts.NEW_KEY, "/SigningKeys": facts.NEW_KEY}
"""Resources with more fields in the answer to their creation."""


def faults(method: str, path: str, status: int, content_type: str, body: bytes) -> list[str]:
    """Return the faults of an answer; none for audio, and for paths outside the REST API."""
    if not path.startswith(ROOT) or content_type.startswith("audio/"):
        return []
    if status == 204:
        return [] if body == b"" else ["a 204 with a body"]
    try:
        body_json = json.loads(body)
    except ValueError:
        return [f"{status} is not JSON"]
    if status >= 400:
        return _error(status, body_json)
    return _resource(method, path.removesuffix(".json"), body_json)


def _error(status: int, body_json: Any) -> list[str]:
    shape = facts.ERROR | ({"detail": "text"} if status == 401 else {})
    found = facts.faults(body_json, shape)
    if not found and body_json["status"] != status:
        found.append(f"status {body_json['status']} in a {status}")
    if not found and body_json["more_info"] != f"https://www.twilio.com/docs/errors/{body_json['code']}":
        found.append(f"more_info is not of {body_json['code']}")
    return found


def _resource(method: str, path: str, body_json: Any) -> list[str]:
    if re.fullmatch(ROOT, path):
        return _list(body_json, ListResource(key="accounts", row=facts.ACCOUNT))
    if re.fullmatch(ACCOUNT, path):
        return facts.faults(body_json, facts.ACCOUNT)
    below = re.sub(ACCOUNT, "", path, count=1)
    for template, listed in RESOURCES.items():
        if re.fullmatch(template.replace("{}", "[^/]+"), below):
            return (
                facts.faults(body_json, CREATED.get(template, listed.row))
                if method == "POST"
                else _list(body_json, listed)
            )
    for template, listed in RESOURCES.items():
        if re.fullmatch(template.replace("{}", "[^/]+") + "/[^/]+", below):
            return facts.faults(body_json, listed.single or listed.row)
    return [f"no table for {below}"]


def _list(body_json: Any, listed: ListResource) -> list[str]:
    if not isinstance(body_json, dict) or not isinstance(body_json.get(listed.key), list):
        return [f"no list {listed.key}"]
    found = facts.faults({name: body_json[name] for name in body_json if name != listed.key}, facts.ENVELOPE)
    return found + [fault for row in body_json[listed.key] for fault in facts.faults(row, listed.row)]
