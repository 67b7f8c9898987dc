"""Translate failures to the Twilio codes of a sound that cannot be played."""

from __future__ import annotations

from holdfast.voice.model.errors import DocumentTooLarge, PeerWrong, VoiceError
from holdfast.voice.runtime.http.errors import SoundUnplayable


class InternalFailure(VoiceError):
    """A part of the engine failed: the media process restarts, or its clip bank is full."""

    code = 12400


def as_sound_error(error: VoiceError) -> VoiceError:
    """Return the error with the code that a sound's failure has."""
    if isinstance(error, DocumentTooLarge):
        return SoundUnplayable(error.message)
    return error if isinstance(error, PeerWrong) else InternalFailure(error.message)
