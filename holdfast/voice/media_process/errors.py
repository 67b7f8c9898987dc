"""What can go wrong between control and the media process."""

from __future__ import annotations

from holdfast.voice.model.errors import VoiceError


class MediaUnavailable(VoiceError):
    """No media process answers: it is starting, or being restarted. Its rows, if any, are gone."""

    http = 503
    sip = 503


class MediaRefused(VoiceError):
    """The media process turned a request down; the message says why. Nothing was changed."""

    sip = 500


class RowsFull(MediaRefused):
    """Every row is in use, or rests after use."""

    http = 503
    sip = 503


class MediaMessageUnreadable(VoiceError):
    """Bytes on the local socket that are no message of ours: the connection is given up."""
