"""The errors of the engine form one tree of two branches; each error carries its codes.

`AskedWrong` is the fault of our client (a REST request, a setting), `PeerWrong` that of the far end (a phone, a
webhook, a document). The code is Twilio's; the REST API and SIP answer with the HTTP and the SIP status.
Source: Twilio error and warning dictionary.
"""

from __future__ import annotations

from typing import ClassVar


class VoiceError(Exception):
    """An error carries Twilio's code, the HTTP status, the SIP status and a plain sentence."""

    code: ClassVar[int] = 20500
    http: ClassVar[int] = 500
    sip: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class AskedWrong(VoiceError):
    """The client of our interface asked for something impossible."""

    code = 20422
    http = 400
    sip = 400


class PeerWrong(VoiceError):
    """The far end (phone, web server, document) broke a rule."""

    code = 11200
    http = 502
    sip = 502


class NotFound(AskedWrong):
    """There is no resource of this name, or it belongs to another account."""

    code = 20404
    http = 404
    sip = 404


class CallNotInProgress(AskedWrong):
    """The call has ended, or runs no document that could be replaced."""

    code = 21220


class ParameterMissing(AskedWrong):
    """A required parameter is missing. The resource sets the code."""

    code = 20422


class RecordNotFinished(AskedWrong):
    """A record cannot be deleted while the call or recording it describes is not finished."""

    code = 20009


class RecordingNotActive(AskedWrong):
    """A finished recording cannot be paused or stopped."""

    code = 21220


class QueueNameTaken(AskedWrong):
    """Two queues of one account cannot share a friendly name."""

    code = 22003


class QueueNotEmpty(AskedWrong):
    """A queue with members cannot be deleted."""

    code = 20409


class ConferenceNotActive(AskedWrong):
    """The conference is completed, or no longer exists."""

    code = 16022


class LabelTaken(AskedWrong):
    """Another participant of this conference has the label."""

    code = 16025


class LabelInvalid(AskedWrong):
    """A label must not be over 128 characters, contain `/`, or look like a call SID."""

    code = 16023


class CoachTargetHeld(AskedWrong):
    """The participant to be coached is on hold."""

    code = 16027


class CoachTargetAbsent(AskedWrong):
    """The participant to be coached is not in the conference."""

    code = 16028


class RelativeUrl(AskedWrong):
    """A relative URL stands in an inline document, which has no address."""

    code = 15004


class DocumentUnreadable(PeerWrong):
    """The document is not TwiML: it is not XML, or its root is not `<Response>`."""

    code = 12100


class DocumentTooLarge(PeerWrong):
    """The TwiML document is larger than 64 kB."""

    code = 11750


class ContentTypeInvalid(PeerWrong):
    """The web server's answer is neither TwiML nor audio."""

    code = 12300


class FetchFailed(PeerWrong):
    """The web server gave no complete, successful answer."""

    code = 11200


class StoreFailed(VoiceError):
    """The store could not write or read: the disk is full, or the file is missing, locked or damaged."""

    code = 20500
    http = 500
