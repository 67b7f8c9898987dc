"""Read the callee and the caller of Calls and Participants from `To` and `From`.

Deviation: a line's bare name is accepted in `To`, besides Twilio's forms. Codes 21215 and 21216 (countries and numbers
an account may not call) cannot arise, since no call leaves for the public telephone network.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import parse_qsl, unquote

from holdfast.voice.api.errors import (
    FromInvalid,
    FromMissing,
    FromNotOurs,
    ParameterInvalid,
    ToImplausible,
    ToInvalid,
    ToMissing,
    ToUnreachable,
)
from holdfast.voice.api.forms import Form
from holdfast.voice.model.commands import Target
from holdfast.voice.model.phone_numbers import bare_number, is_short
from holdfast.voice.runtime.directory.directory import (
    E164,
    LINE_NAME,
    Directory,
)

MAX_IDENTITY = 256
MAX_SIP_URI = 255
MAX_SIP_HEADERS = 1024
MIN_DISPLAY_NAME, MAX_DISPLAY_NAME = 2, 255

_IDENTITY = re.compile(r"""[^\s"<>?&]{1,256}\Z""")
_SIP = re.compile(r"sips?:[^\s\"<>@?]+@[^\s\"<>@?]+\Z", re.IGNORECASE)
_CALLER = re.compile(r"""[^\s"<>,;?&=]{1,256}\Z""")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def read_parties(form: Form, directory: Directory, *, applications: bool = False) -> tuple[Target, str]:
    """Return the target in `To` and the caller in `From`. Raises: one of the `To…` and `From…` errors.

    With `applications`, `To` may be one of the account's: `app:AP…`.

    Source: Twilio API, POST Calls, `To` and `From`; errors 21201 and 21210 to 21217.
    """
    to = form.text("To")
    if to is None:
        raise ToMissing("No 'To' number is specified")
    target = _application(to, directory) if applications and to.startswith("app:") else read_target(to, directory)
    from_ = form.text("From")
    if from_ is None:
        raise FromMissing("No 'From' number is specified")
    return target, _caller("From", from_, directory, target)


def read_caller_id(form: Form, directory: Directory, target: Target) -> str:
    """Return what the callee's phone shows in place of `From`, "" if not given. Raises: as `From`.

    Source: Twilio API, POST Participants, `CallerId`.
    """
    caller_id = form.text("CallerId")
    return "" if caller_id is None else _caller("CallerId", caller_id, directory, target)


def read_display_name(form: Form, target: Target) -> str:
    """Return the name that a SIP address is shown, "" if not given. Raises: ParameterInvalid.

    It has no effect on calls to numbers and clients. Source: Twilio API, POST Participants, `CallerDisplayName`.
    """
    name = form.text("CallerDisplayName")
    if name is None:
        return ""
    if not MIN_DISPLAY_NAME <= len(name) <= MAX_DISPLAY_NAME or _CONTROL.search(name):
        raise ParameterInvalid(
            f"CallerDisplayName has {MIN_DISPLAY_NAME} to {MAX_DISPLAY_NAME} characters, and no control characters"
        )
    return name if target.to.lower().startswith(("sip:", "sips:")) else ""


def read_target(to: str, directory: Directory) -> Target:
    """Return the target that `To` names. Raises: ToInvalid, ToImplausible, ToUnreachable."""
    lowered = to.lower()
    if lowered.startswith("client:"):
        return _client(to)
    if lowered.startswith(("sip:", "sips:")):
        return _sip(to)
    if LINE_NAME.match(to) and directory.line(to) is not None and not E164.match(to):
        return Target(to=to)
    number = directory.e164(to)
    if number is None:
        if to.startswith("+"):
            raise ToImplausible(f"'To' does not appear to be a phone number: {to}")
        if is_short(to):
            raise ToUnreachable(f"'To' phone number cannot be reached: {directory.unreachable_reason(to)}")
        why = f": {directory.unreachable_reason(to)}" if bare_number(to) is not None else ""
        raise ToInvalid(f"'To' is not a phone number, client:, sip: or a line of ours: {to}{why}")
    if not directory.is_own_number(number) and directory.route_for(number) is None:
        raise ToUnreachable(f"'To' phone number cannot be reached: {directory.unreachable_reason(to)}")
    return Target(to=number)


def _client(to: str) -> Target:
    identity, _, query = to[len("client:") :].partition("?")
    if not _IDENTITY.match(unquote(identity)):
        raise ToInvalid(f"'To' is not client: with an identity of up to {MAX_IDENTITY} characters")
    return Target(to=f"client:{unquote(identity)}", parameters=_pairs(query))


def _application(to: str, directory: Directory) -> Target:
    """Return an application and its parameters as a target. Source: Twilio API, POST Participants, `To`."""
    sid, _, query = to.removeprefix("app:").partition("?")
    if directory.applications.get(sid) is None:
        raise ToInvalid(f"'To' is no application of ours: {sid[:64]}")
    own = tuple((name, value) for name, value in _pairs(query) if name not in ("To", "customerId"))
    return Target(to=f"app:{sid}", parameters=own)


def _sip(to: str) -> Target:
    """Return a SIP URI and its header fields. Those that may not be sent are left out later, with a warning."""
    address, _, query = to.partition("?")
    if not _SIP.match(address) or len(address) >= MAX_SIP_URI or len(query) >= MAX_SIP_HEADERS:
        raise ToInvalid("'To' is not a SIP URI of user and host, below 255 characters with headers below 1024")
    return Target(to=address, headers=_fields(query, errors="replace"))


def _fields(query: str, *, errors: Literal["strict", "replace"]) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, errors=errors, max_num_fields=100))
    except ValueError as error:
        raise ToInvalid("'To' has parameters that cannot be read") from error


def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    pairs = _fields(query, errors="strict")
    if any(_CONTROL.search(name) or _CONTROL.search(value) for name, value in pairs):
        raise ToInvalid("'To' has control characters in its parameters")
    return pairs


def _caller(parameter: str, from_: str, directory: Directory, target: Target) -> str:
    to_number = E164.match(target.to) is not None
    number = directory.e164(from_)
    if number is not None:
        if to_number and not directory.is_own_number(number):
            raise FromNotOurs(f"'{parameter}' phone number {number} is not one of ours; add it to the directory first")
        return number
    if to_number:
        raise FromInvalid(f"'{parameter}' must be a phone number when 'To' is one: {from_}")
    if not _CALLER.match(from_):
        raise FromInvalid(f"'{parameter}' is not a phone number, client: or a SIP user: {from_}")
    return from_
