"""Serve credential lists and their credentials. Source: Twilio API, SIP CredentialList, SIP Credential.

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
MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 256
MAX_USERS: Final = 1000
_USERNAME = re.compile(r"[A-Za-z0-9_.+-]{1,32}\Z")


def find(context: ApiContext, sid: str) -> CredentialList:
    """Return the credential list with that SID. Raises: NotFound."""
    found = context.directory.access.lists.get(sid)
    if found is None:
        raise NotFound(f"there is no credential list {sid}")
    return found


def _find_user(context: ApiContext, request: ApiRequest) -> tuple[CredentialList, SipUser]:
    credential_list = find(context, request.path_params["CredentialListSid"])
    user = credential_list.user(request.path_params["Sid"])
    if user is None:
        raise NotFound(f"there is no such credential in {credential_list.sid}")
    return credential_list, user


def _name(form: Form) -> str:
    name = form.text("FriendlyName")
    if name is None:
        raise ParameterMissing("FriendlyName is required")
    if len(name) > MAX_NAME:
        raise NameInvalid(f"FriendlyName must have 1 to {MAX_NAME} characters")
    return name


def _password(form: Form) -> str:
    """Return `Password`. Raises: ParameterMissing, ParameterInvalid.

    Source: Twilio API, SIP Credential `Password`: at least 12 characters, a digit, both cases.
    """
    password = form.raw("Password")
    if not password:
        raise ParameterMissing("Password is required")
    strong = all(re.search(kind, password) for kind in ("[0-9]", "[a-z]", "[A-Z]"))
    if not (MIN_PASSWORD <= len(password) <= MAX_PASSWORD and strong):
        raise ParameterInvalid(
            f"Password must have {MIN_PASSWORD} to {MAX_PASSWORD} characters, "
            "with a digit, a lower-case and an upper-case letter"
        )
    return password


async def create(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Create an empty list. Raises: ParameterMissing, NameInvalid."""
    now = context.switch.now()
    created = CredentialList(sid=new_sid("CL"), friendly_name=_name(request.form), created_at=now, updated_at=now)
    await context.directory.access.lists.put(created)
    return ApiResponse(status=201, body=render_access.credential_list(context.account, created))


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one list. Raises: NotFound."""
    return ApiResponse(body=render_access.credential_list(context.account, find(context, request.path_params["Sid"])))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Rename a list. Raises: NotFound, ParameterMissing, NameInvalid."""
    stored = find(context, request.path_params["Sid"])
    renamed = replace(stored, friendly_name=_name(request.form), updated_at=context.switch.now())
    await context.directory.access.lists.put(renamed)
    return ApiResponse(body=render_access.credential_list(context.account, renamed))


async def delete(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Delete a list and its mappings to domains. Raises: NotFound."""
    await context.directory.access.remove_list(find(context, request.path_params["Sid"]).sid)
    return ApiResponse(status=204, body=None)


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the credential lists, the newest first."""
    body = page(
        context.directory.access.lists.all(),
        form=request.form,
        path=request.path,
        collection="credential_lists",
        key=lambda each: each.sid,
        render=lambda each: render_access.credential_list(context.account, each),
    )
    return ApiResponse(body=body)


async def create_user(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Add a user. Raises: NotFound, ParameterMissing, ParameterInvalid, RecordExists."""
    credential_list = find(context, request.path_params["CredentialListSid"])
    name = request.form.text("Username")
    if name is None:
        raise ParameterMissing("Username is required")
    if not _USERNAME.match(name):
        raise ParameterInvalid("Username must have 1 to 32 of letters, digits, _ . + -")
    if any(user.username == name for user in credential_list.users):
        raise RecordExists(f"There is a user {name} in this list")
    if len(credential_list.users) >= MAX_USERS:
        raise ParameterInvalid(f"A credential list has up to {MAX_USERS} users")
    now = context.switch.now()
    ha1 = Ha1.of(name, _password(request.form))
    user = SipUser(sid=new_sid("CR"), username=name, ha1=ha1, created_at=now, updated_at=now)
    await _store(context, credential_list, (*credential_list.users, user))
    return ApiResponse(status=201, body=render_access.credential(context.account, credential_list, user))


async def fetch_user(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one user. Raises: NotFound."""
    return ApiResponse(body=render_access.credential(context.account, *_find_user(context, request)))


async def update_user(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Set another password for a user. Raises: NotFound, ParameterInvalid."""
    credential_list, stored = _find_user(context, request)
    user = stored
    if request.form.raw("Password") is not None:
        ha1 = Ha1.of(stored.username, _password(request.form))
        user = replace(stored, ha1=ha1, updated_at=context.switch.now())
    await _store(
        context, credential_list, tuple(user if each.sid == user.sid else each for each in credential_list.users)
    )
    return ApiResponse(body=render_access.credential(context.account, credential_list, user))


async def delete_user(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Remove a user. Raises: NotFound."""
    credential_list, removed = _find_user(context, request)
    await _store(context, credential_list, tuple(each for each in credential_list.users if each.sid != removed.sid))
    return ApiResponse(status=204, body=None)


async def _store(context: ApiContext, credential_list: CredentialList, users: tuple[SipUser, ...]) -> None:
    await context.directory.access.lists.put(replace(credential_list, users=users, updated_at=context.switch.now()))


async def list_users(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the users of a credential list, the newest first. Raises: NotFound."""
    credential_list = find(context, request.path_params["CredentialListSid"])
    body = page(
        credential_list.users[::-1],
        form=request.form,
        path=request.path,
        collection="credentials",
        key=lambda user: user.sid,
        render=lambda user: render_access.credential(context.account, credential_list, user),
    )
    return ApiResponse(body=body)


_USERS = "/SIP/CredentialLists/{CredentialListSid}/Credentials"
RESOURCES: Final = (
    Resource(
        path="/SIP/CredentialLists",
        get=Operation(run=list_page, parameters=PAGING),
        post=Operation(run=create, parameters=NAME),
    ),
    Resource(
        path="/SIP/CredentialLists/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=update, parameters=NAME),
        delete=Operation(run=delete),
    ),
    Resource(
        path=_USERS,
        get=Operation(run=list_users, parameters=PAGING),
        post=Operation(run=create_user, parameters=frozenset({"Username", "Password"})),
    ),
    Resource(
        path=f"{_USERS}/{{Sid}}",
        get=Operation(run=fetch_user),
        post=Operation(run=update_user, parameters=frozenset({"Password"})),
        delete=Operation(run=delete_user),
    ),
)
