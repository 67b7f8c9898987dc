"""The errors that only the REST door raises, and the one place where every error becomes Twilio's JSON.

Source: Twilio error and warning dictionary; the code each parameter answers with is named in its resource.
"""

from __future__ import annotations

import json

from starlette.responses import Response

from holdfast.voice.model.errors import AskedWrong, NotFound, ParameterMissing, VoiceError

MORE = "https://www.twilio.com/docs/errors/"
BACK_IN_S = 10
"""When a call may be asked for again of a server that is being stopped: by then another has most often been started."""
OTHER_FORMS = (".csv", ".xml", ".html")
"""Suffixes for which Twilio has had other forms than JSON. Deviation: they are unknown here, and it is said so."""


class ParameterInvalid(AskedWrong):
    """A value that its parameter does not allow."""

    code = 20422


class BodyMalformed(AskedWrong):
    """A request body or query that cannot be read as a form."""

    code = 20422


class BodyTooLarge(AskedWrong):
    """A request body beyond what any resource could want."""

    code = 20422
    http = 413


class NotAuthenticated(AskedWrong):
    """No credentials, wrong ones, or those of another account than the path names."""

    code = 20003
    http = 401


class MethodNotAllowed(AskedWrong):
    """The resource exists and does not know this HTTP method."""

    code = 20004
    http = 405


class TooManyRequests(AskedWrong):
    """More requests than the setting `api_requests_per_s` lets through."""

    code = 20429
    http = 429


class BacklogFull(AskedWrong):
    """More calls wait for their turn than can be placed in a day, by the setting `calls_per_s`."""

    code = 22005
    http = 429


class BeingStopped(VoiceError):
    """A call to be placed while the server is being stopped, which hangs up every call. Source: Twilio error 20503."""

    code = 20503
    http = 503


class NameInvalid(AskedWrong):
    """A friendly name outside 1 to 64 characters."""

    code = 20002


class RecordExists(AskedWrong):
    """Something of that name is there already."""

    code = 20409
    http = 409


class PageTooLarge(AskedWrong):
    """`PageSize` outside 1 to 1000."""

    code = 20007


class UrlInvalid(AskedWrong):
    """`Url` is missing or no absolute http(s) address."""

    code = 21205


class CallbackUrlInvalid(AskedWrong):
    """A callback, fallback, hold, wait or announcement address is no absolute http(s) address."""

    code = 21502


class VoiceUrlInvalid(AskedWrong):
    """An address in the configuration of a number or application is no absolute http(s) address."""

    code = 11100


class MethodInvalid(AskedWrong):
    """A `…Method` that is neither GET nor POST."""

    code = 21209


class DigitsInvalid(AskedWrong):
    """`SendDigits` with something else than digits, A to D, #, *, w and W, or more than 32."""

    code = 21206


class TimeoutInvalid(AskedWrong):
    """`Timeout` that is no whole number of seconds in its range."""

    code = 21208


class ToMissing(ParameterMissing):
    """No `To`."""

    code = 21201


class ToInvalid(AskedWrong):
    """A `To` that is neither a phone number, `client:`, `sip:` nor a line."""

    code = 21211


class ToImplausible(AskedWrong):
    """A `To` with a plus that cannot be a phone number of any country."""

    code = 21217


class ToUnreachable(AskedWrong):
    """A phone number in `To` that leads nowhere from here."""

    code = 21214


class FromMissing(ParameterMissing):
    """No `From`."""

    code = 21213


class FromInvalid(AskedWrong):
    """A `From` that this `To` does not allow."""

    code = 21212


class FromNotOurs(AskedWrong):
    """A phone number in `From` that is not ours."""

    code = 21210


class ApplicationInvalid(AskedWrong):
    """An `ApplicationSid` that is no application of ours, or one without a voice URL."""

    code = 21218


class TwimlTooLong(AskedWrong):
    """An inline document over 4000 characters."""

    code = 32018


class NumberInvalid(AskedWrong):
    """A `PhoneNumber` that is not in E.164."""

    code = 21421


class NumberTaken(AskedWrong):
    """A `PhoneNumber` that is in the directory already."""

    code = 21422


class AreaCodeInvalid(AskedWrong):
    """An `AreaCode` that is no area code of the North American numbering plan."""

    code = 21451


class AreaCodeExhausted(AskedWrong):
    """An area code in which every number we may hand out is handed out."""

    code = 21452


def told(error: VoiceError, path: str) -> Response:
    """An error as Twilio tells it. Source: Twilio API, "Error and exception handling"."""
    message = error.message
    if isinstance(error, NotFound):
        message = f"The requested resource {path} was not found"
        if path.lower().endswith(OTHER_FORMS):
            message += "; resources are told in JSON alone, by .json or no suffix"
    body: dict[str, object] = {"code": error.code, "message": message, "more_info": f"{MORE}{error.code}"}
    headers = {}
    if isinstance(error, NotAuthenticated):
        body["message"] = "Authenticate"
        body["detail"] = error.message
        headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
    if isinstance(error, BeingStopped):
        headers["Retry-After"] = str(BACK_IN_S)
    body["status"] = error.http
    return Response(json.dumps(body), status_code=error.http, headers=headers, media_type="application/json")
