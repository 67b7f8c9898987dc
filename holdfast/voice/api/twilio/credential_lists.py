"""Serve credential lists and their credentials. Source: Twilio API, SIP CredentialList, SIP Credential.

A user becomes a line, which may register and call, once its list is mapped to a domain.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from holdfast.voice.api import render_access
from holdfast.voice.api.errors import ParameterInvalid, RecordExists
from holdfast.voice.api.forms import Form
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, new_sid
from holdfast.voice.api.stored_resource import StoredResource
from holdfast.voice.api.voice_settings import require_name
from holdfast.voice.model.errors import ParameterMissing
from holdfast.voice.runtime.directory.access import CredentialList, SipUser
from holdfast.voice.runtime.directory.collection import Members
from holdfast.voice.sip.message.digest import Ha1

NAME: Final = frozenset({"FriendlyName"})
MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 256
MAX_USERS: Final = 1000
_USERNAME = re.compile(r"[A-Za-z0-9_.+-]{1,32}\Z")


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


def _new(context: ApiContext, request: ApiRequest) -> CredentialList:
    """Return a new, empty list. Raises: ParameterMissing, NameInvalid."""
    now = context.switch.now()
    return CredentialList(sid=new_sid("CL"), friendly_name=require_name(request.form), created_at=now, updated_at=now)


def _rename(context: ApiContext, request: ApiRequest, stored: CredentialList) -> CredentialList:
    """Return the list with another name. Raises: ParameterMissing, NameInvalid."""
    return replace(stored, friendly_name=require_name(request.form), updated_at=context.switch.now())


class CredentialListResource(StoredResource[CredentialList]):
    """Credential lists as a resource."""

    async def delete(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """Delete a list and its mappings to domains. Raises: NotFound."""
        await context.directory.access.remove_list(self.find(context, request).sid)
        return ApiResponse(status=204, body=None)


LISTS: Final = CredentialListResource(
    rows=lambda context, request: context.directory.access.lists,
    missing="there is no credential list {}",
    collection="credential_lists",
    render=lambda context, request, each: render_access.credential_list(context.account, each),
    new=_new,
    change=_rename,
)


def _users(context: ApiContext, request: ApiRequest) -> Members[SipUser]:
    """Return the users of the list that the path names. Raises: NotFound."""
    parent = LISTS.find(context, request, request.path_params["CredentialListSid"])
    return Members(context.directory.access.lists, parent, "users", now=context.switch.now())


def _new_user(context: ApiContext, request: ApiRequest) -> SipUser:
    """Return a new user. Raises: NotFound, ParameterMissing, ParameterInvalid, RecordExists."""
    users, name = _users(context, request).all(), request.form.text("Username")
    if name is None:
        raise ParameterMissing("Username is required")
    if not _USERNAME.match(name):
        raise ParameterInvalid("Username must have 1 to 32 of letters, digits, _ . + -")
    if any(user.username == name for user in users):
        raise RecordExists(f"There is a user {name} in this list")
    if len(users) >= MAX_USERS:
        raise ParameterInvalid(f"A credential list has up to {MAX_USERS} users")
    now = context.switch.now()
    ha1 = Ha1.of(name, _password(request.form))
    return SipUser(sid=new_sid("CR"), username=name, ha1=ha1, created_at=now, updated_at=now)


def _change_user(context: ApiContext, request: ApiRequest, stored: SipUser) -> SipUser:
    """Return the user with another password, if one was sent. Raises: ParameterMissing, ParameterInvalid."""
    if request.form.raw("Password") is None:
        return stored
    ha1 = Ha1.of(stored.username, _password(request.form))
    return replace(stored, ha1=ha1, updated_at=context.switch.now())


USERS: Final = StoredResource(
    rows=_users,
    missing="there is no such credential in {CredentialListSid}",
    collection="credentials",
    render=lambda context, request, each: render_access.credential(
        context.account, request.path_params["CredentialListSid"], each
    ),
    new=_new_user,
    change=_change_user,
)
RESOURCES: Final = (
    *LISTS.resources("/SIP/CredentialLists", create=NAME, update=NAME),
    *USERS.resources(
        "/SIP/CredentialLists/{CredentialListSid}/Credentials",
        create=frozenset({"Username", "Password"}),
        update=frozenset({"Password"}),
    ),
)
