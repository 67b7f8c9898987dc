"""The errors between control and the media process."""

from __future__ import annotations

from holdfast.voice.model.errors import VoiceError


class MediaUnavailable(VoiceError):
    """No media process answers: it is starting or restarting. Its rows, if any, are lost."""

    http = 503
    sip = 503


class MediaRefused(VoiceError):
    """The media process refused a request; the message says why. Nothing was changed."""

    sip = 500


class RowsFull(MediaRefused):
    """Every row is in use, or rests after use."""

    http = 503
    sip = 503


class MediaMessageUnreadable(VoiceError):
    """The bytes on the local socket are not a message of the protocol; the connection is closed."""
