"""Define the errors that only the REST API raises, and turn every error into Twilio's JSON.

Source: Twilio error and warning dictionary; each resource names the code of each parameter.
"""

from __future__ import annotations

import json

from starlette.responses import Response

from holdfast.voice.model.errors import AskedWrong, NotFound, ParameterMissing, VoiceError

MORE_INFO_URL = "https://www.twilio.com/docs/errors/"
OTHER_FORMATS = (".csv", ".xml", ".html")
"""Suffixes for which Twilio has had other formats than JSON. Deviation: they are unknown here; the error says so."""


class ParameterInvalid(AskedWrong):
    """A parameter has a value that it does not allow."""

    code = 20422


class BodyMalformed(AskedWrong):
    """A request body or query cannot be read as a form."""

    code = 20422


class BodyTooLarge(AskedWrong):
    """A request body is longer than any resource needs."""

    code = 20422
    http = 413


class NotAuthenticated(AskedWrong):
    """A request has no credentials, wrong ones, or those of another account than the path names."""

    code = 20003
    http = 401


class MethodNotAllowed(AskedWrong):
    """The resource exists and does not have this HTTP method."""

    code = 20004
    http = 405


class TooManyRequests(AskedWrong):
    """More requests arrive than the setting `api_requests_per_s` allows."""

    code = 20429
    http = 429
    retry_after_s = 1
    """As the client libraries expect."""


class BacklogFull(AskedWrong):
    """More calls wait to be placed than the setting `calls_per_s` allows in a day."""

    code = 22005
    http = 429


class ServerStopping(VoiceError):
    """A call is requested while the server stops, which hangs up every call. Source: Twilio error 20503."""

    code = 20503
    http = 503
    retry_after_s = 10
    """Most often a new server runs by then."""


class NameInvalid(AskedWrong):
    """A friendly name does not have 1 to 64 characters."""

    code = 20002


class RecordExists(AskedWrong):
    """A record of that name exists already."""

    code = 20409
    http = 409


class PageTooLarge(AskedWrong):
    """`PageSize` is not from 1 to 1000."""

    code = 20007


class UrlInvalid(AskedWrong):
    """`Url` is missing or is no absolute http(s) URL."""

    code = 21205


class CallbackUrlInvalid(AskedWrong):
    """The URL of a callback, fallback, hold, wait or announcement is no absolute http(s) URL."""

    code = 21502


class VoiceUrlInvalid(AskedWrong):
    """A URL in the configuration of a number or application is no absolute http(s) URL."""

    code = 11100


class MethodInvalid(AskedWrong):
    """A `…Method` parameter is neither GET nor POST."""

    code = 21209


class DigitsInvalid(AskedWrong):
    """`SendDigits` has other characters than digits, A to D, #, *, w and W, or more than 32."""

    code = 21206


class TimeoutInvalid(AskedWrong):
    """`Timeout` is no whole number of seconds in its range."""

    code = 21208


class ToMissing(ParameterMissing):
    """The request has no `To`."""

    code = 21201


class ToInvalid(AskedWrong):
    """`To` is neither a phone number, `client:`, `sip:` nor a line."""

    code = 21211


class ToImplausible(AskedWrong):
    """`To` has a plus and cannot be a phone number of any country."""

    code = 21217


class ToUnreachable(AskedWrong):
    """No route leads to the phone number in `To`."""

    code = 21214


class FromMissing(ParameterMissing):
    """The request has no `From`."""

    code = 21213


class FromInvalid(AskedWrong):
    """`To` does not allow this `From`."""

    code = 21212


class FromNotOurs(AskedWrong):
    """The phone number in `From` is not ours."""

    code = 21210


class ApplicationInvalid(AskedWrong):
    """`ApplicationSid` names no application of this account, or one without a voice URL."""

    code = 21218


class TwimlTooLong(AskedWrong):
    """An inline document has more than 4000 characters."""

    code = 32018


class NumberInvalid(AskedWrong):
    """`PhoneNumber` is not in E.164."""

    code = 21421


class NumberTaken(AskedWrong):
    """`PhoneNumber` is in the directory already."""

    code = 21422


class AreaCodeInvalid(AskedWrong):
    """`AreaCode` is no area code of the North American numbering plan."""

    code = 21451


class AreaCodeExhausted(AskedWrong):
    """Every number of the area code that we may assign is assigned."""

    code = 21452


class RecipientMissing(ParameterMissing):
    """A message has no `To`."""

    code = 21604


class SenderMissing(ParameterMissing):
    """A message has neither `From` nor `MessagingServiceSid`."""

    code = 21603


class SenderNotOurs(AskedWrong):
    """The phone number in `From` of a message is not ours."""

    code = 21659


class SenderNotCapable(AskedWrong):
    """No message may be sent, because the setting `messages` refuses them."""

    code = 21661


class SenderIsRecipient(AskedWrong):
    """`From` and `To` of a message are the same."""

    code = 21266


class ChannelsDiffer(AskedWrong):
    """`From` and `To` of a message are addresses of two channels, such as SMS and WhatsApp."""

    code = 21910


class MessagingServiceInvalid(AskedWrong):
    """`MessagingServiceSid` does not have the form of a SID."""

    code = 21705


class MessageEmpty(AskedWrong):
    """A message has neither `Body`, `MediaUrl` nor `ContentSid`."""

    code = 21602


class ServiceMessageEmpty(AskedWrong):
    """A message of a Messaging Service has neither `Body`, `MediaUrl` nor `ContentSid`."""

    code = 21619


class MessageTooLong(AskedWrong):
    """`Body` of a message has more than 1600 characters."""

    code = 21617


class MediaUrlInvalid(AskedWrong):
    """`MediaUrl` is no absolute http(s) URL."""

    code = 21620


class TooManyMedia(AskedWrong):
    """A message has more than ten `MediaUrl`."""

    code = 21623


class ContentSidInvalid(AskedWrong):
    """`ContentSid` does not have the form of a SID."""

    code = 21655


class MessageCallbackInvalid(AskedWrong):
    """`StatusCallback` of a message is no absolute http(s) URL."""

    code = 21609


class MessageUpdateInvalid(AskedWrong):
    """An update of a message neither redacts nor cancels it, or asks for both."""

    code = 30400


class MessageNotCancelable(AskedWrong):
    """The message is not scheduled, so it cannot be canceled. Its HTTP status is our assumption."""

    code = 30409
    http = 409


def error_response(error: VoiceError, path: str) -> Response:
    """Return an error as Twilio's JSON. Source: Twilio API, "Error and exception handling"."""
    message = error.message
    if isinstance(error, NotFound):
        message = f"The requested resource {path} was not found"
        if path.lower().endswith(OTHER_FORMATS):
            message += "; resources exist in JSON only, with .json or no suffix"
    body: dict[str, object] = {"code": error.code, "message": message, "more_info": f"{MORE_INFO_URL}{error.code}"}
    headers = {}
    if isinstance(error, NotAuthenticated):
        body["message"] = "Authenticate"
        body["detail"] = error.message
        headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
    if isinstance(error, ServerStopping | TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_s)
    body["status"] = error.http
    return Response(json.dumps(body), status_code=error.http, headers=headers, media_type="application/json")
