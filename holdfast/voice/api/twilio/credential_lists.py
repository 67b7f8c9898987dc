"""SIP users: credential lists, and the credentials in them. Source: Twilio API, SIP CredentialList, SIP Credential.

A user becomes a line, which may register and call, once its list is mapped to a domain.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from holdfast.voice.api import render_access
from holdfast.voice.api.errors import NameInvalid, ParameterInvalid, RecordExists
from holdfast.voice.api.forms import Form
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.api.sids import new_sid
from holdfast.voice.api.voice_settings import MAX_NAME
from holdfast.voice.model.errors import NotFound, ParameterMissing
from holdfast.voice.runtime.directory.access import CredentialList, SipUser
from holdfast.voice.sip.message.digest import Ha1

NAME: Final = frozenset({"FriendlyName"})
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
MOST_USERS: Final = 1000
_USERNAME = re.compile(r"[A-Za-z0-9_.+-]{1,32}\Z")


def find(door: ApiContext, sid: str) -> CredentialList:
    """The list of that SID. Raises: NotFound."""
    found = door.directory.access.lists.get(sid)
    if found is None:
        raise NotFound(f"there is no credential list {sid}")
    return found


def _find_user(door: ApiContext, asked: ApiRequest) -> tuple[CredentialList, SipUser]:
    within = find(door, asked.names["CredentialListSid"])
    user = within.user(asked.names["Sid"])
    if user is None:
        raise NotFound(f"there is no such credential in {within.sid}")
    return within, user


def _name(form: Form) -> str:
    name = form.text("FriendlyName")
    if name is None:
        raise ParameterMissing("FriendlyName is required")
    if len(name) > MAX_NAME:
        raise NameInvalid(f"FriendlyName must have 1 to {MAX_NAME} characters")
    return name


def _password(form: Form) -> str:
    """Source: Twilio API, SIP Credential `Password`: at least 12 characters, a digit, both cases."""
    password = form.raw("Password")
    if not password:
        raise ParameterMissing("Password is required")
    strong = all(re.search(kind, password) for kind in ("[0-9]", "[a-z]", "[A-Z]"))
    if not (SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD and strong):
        raise ParameterInvalid(
            f"Password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, "
            "with a digit, a lower-case and an upper-case letter"
        )
    return password


async def create(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Make an empty list. Raises: ParameterMissing, NameInvalid."""
    now = door.switch.now()
    made = CredentialList(sid=new_sid("CL"), friendly_name=_name(asked.form), created_at=now, updated_at=now)
    await door.directory.access.lists.put(made)
    return ApiResponse(status=201, body=render_access.credential_list(door.account, made))


async def fetch(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """One list."""
    return ApiResponse(body=render_access.credential_list(door.account, find(door, asked.names["Sid"])))


async def change(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Rename a list. Raises: NotFound, ParameterMissing, NameInvalid."""
    stored = find(door, asked.names["Sid"])
    renamed = replace(stored, friendly_name=_name(asked.form), updated_at=door.switch.now())
    await door.directory.access.lists.put(renamed)
    return ApiResponse(body=render_access.credential_list(door.account, renamed))


async def delete(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Remove a list, and it from every domain's door. Raises: NotFound."""
    await door.directory.access.remove_list(find(door, asked.names["Sid"]).sid)
    return ApiResponse(status=204, body=None)


async def listed(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Lists, the newest first."""
    body = page(
        door.directory.access.lists.all(),
        form=asked.form,
        path=asked.path,
        collection="credential_lists",
        key=lambda each: each.sid,
        show=lambda each: render_access.credential_list(door.account, each),
    )
    return ApiResponse(body=body)


async def create_user(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Add a user. Raises: NotFound, ParameterMissing, ParameterInvalid, RecordExists."""
    within = find(door, asked.names["CredentialListSid"])
    name = asked.form.text("Username")
    if name is None:
        raise ParameterMissing("Username is required")
    if not _USERNAME.match(name):
        raise ParameterInvalid("Username must have 1 to 32 of letters, digits, _ . + -")
    if any(user.username == name for user in within.users):
        raise RecordExists(f"There is a user {name} in this list")
    if len(within.users) >= MOST_USERS:
        raise ParameterInvalid(f"A credential list has up to {MOST_USERS} users")
    now = door.switch.now()
    ha1 = Ha1.of(name, _password(asked.form))
    user = SipUser(sid=new_sid("CR"), username=name, ha1=ha1, created_at=now, updated_at=now)
    await _put(door, within, (*within.users, user))
    return ApiResponse(status=201, body=render_access.credential(door.account, within, user))


async def fetch_user(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """One user."""
    return ApiResponse(body=render_access.credential(door.account, *_find_user(door, asked)))


async def change_user(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Give a user another password. Raises: NotFound, ParameterInvalid."""
    within, stored = _find_user(door, asked)
    user = stored
    if asked.form.raw("Password") is not None:
        ha1 = Ha1.of(stored.username, _password(asked.form))
        user = replace(stored, ha1=ha1, updated_at=door.switch.now())
    await _put(door, within, tuple(user if each.sid == user.sid else each for each in within.users))
    return ApiResponse(body=render_access.credential(door.account, within, user))


async def delete_user(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Remove a user. Raises: NotFound."""
    within, gone = _find_user(door, asked)
    await _put(door, within, tuple(each for each in within.users if each.sid != gone.sid))
    return ApiResponse(status=204, body=None)


async def _put(door: ApiContext, within: CredentialList, users: tuple[SipUser, ...]) -> None:
    await door.directory.access.lists.put(replace(within, users=users, updated_at=door.switch.now()))


async def listed_users(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """The users of a list, the newest first. Raises: NotFound."""
    within = find(door, asked.names["CredentialListSid"])
    body = page(
        within.users[::-1],
        form=asked.form,
        path=asked.path,
        collection="credentials",
        key=lambda user: user.sid,
        show=lambda user: render_access.credential(door.account, within, user),
    )
    return ApiResponse(body=body)


_USERS = "/SIP/CredentialLists/{CredentialListSid}/Credentials"
RESOURCES: Final = (
    Resource(
        path="/SIP/CredentialLists",
        get=Operation(run=listed, parameters=PAGING),
        post=Operation(run=create, parameters=NAME),
    ),
    Resource(
        path="/SIP/CredentialLists/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=change, parameters=NAME),
        delete=Operation(run=delete),
    ),
    Resource(
        path=_USERS,
        get=Operation(run=listed_users, parameters=PAGING),
        post=Operation(run=create_user, parameters=frozenset({"Username", "Password"})),
    ),
    Resource(
        path=f"{_USERS}/{{Sid}}",
        get=Operation(run=fetch_user),
        post=Operation(run=change_user, parameters=frozenset({"Password"})),
        delete=Operation(run=delete_user),
    ),
)
