"""Every error of the engine: one tree, two branches, each carrying its own verdict.

`AskedWrong` is our caller's fault (a REST request, a setting); `PeerWrong` the far end's (a phone, a
webhook, a document). The code is Twilio's, the HTTP and SIP statuses are what the doors answer with.
Source: Twilio error and warning dictionary.
"""

from __future__ import annotations

from typing import ClassVar


class VoiceError(Exception):
    """An error with its verdict: Twilio's code, the HTTP status, the SIP status and a plain sentence."""

    code: ClassVar[int] = 20500
    http: ClassVar[int] = 500
    sip: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class AskedWrong(VoiceError):
    """The caller of our interface asked for what cannot be."""

    code = 20422
    http = 400
    sip = 400


class PeerWrong(VoiceError):
    """The far end (phone, web server, document) did what it must not."""

    code = 11200
    http = 502
    sip = 502


class NotFound(AskedWrong):
    """Nothing of that name, or not of this account."""

    code = 20404
    http = 404
    sip = 404


class CallNotInProgress(AskedWrong):
    """The call has ended, or runs no document that could be replaced."""

    code = 21220


class ParameterMissing(AskedWrong):
    """A required parameter was not given. The code is set by the resource."""

    code = 20422


class RecordNotFinished(AskedWrong):
    """A record cannot be deleted while what it describes goes on."""

    code = 20009


class RecordingNotActive(AskedWrong):
    """A recording that is over is neither paused nor stopped."""

    code = 21220


class QueueNameTaken(AskedWrong):
    """Two queues of one account cannot share a friendly name."""

    code = 22003


class QueueNotEmpty(AskedWrong):
    """A queue with members cannot be deleted."""

    code = 20409


class ConferenceNotActive(AskedWrong):
    """The conference does not exist any more, or is completed."""

    code = 16022


class LabelTaken(AskedWrong):
    """Another participant of this conference bears the label."""

    code = 16025


class LabelInvalid(AskedWrong):
    """A label over 128 characters, with `/`, or shaped like a call SID."""

    code = 16023


class CoachTargetHeld(AskedWrong):
    """The participant to be coached is on hold."""

    code = 16027


class CoachTargetAbsent(AskedWrong):
    """The participant to be coached is not in the conference."""

    code = 16028


class RelativeUrl(AskedWrong):
    """A document given inline has no address that a relative URL could be relative to."""

    code = 15004


class DocumentUnreadable(PeerWrong):
    """The document is not TwiML: it does not parse, or its root is not `<Response>`."""

    code = 12100


class DocumentTooLarge(PeerWrong):
    """A TwiML document over 64 kB."""

    code = 11750


class ContentTypeInvalid(PeerWrong):
    """The web server sent something that is neither TwiML nor audio."""

    code = 12300


class FetchFailed(PeerWrong):
    """A web server did not give a complete, successful answer."""

    code = 11200


class StoreFailed(VoiceError):
    """The store could not keep or find what it was given: disk full, file gone, locked or damaged."""

    code = 20500
    http = 500
