"""Why a sound cannot be played, in the codes that a sound's failure has."""

from __future__ import annotations

from holdfast.voice.model.errors import DocumentTooLarge, PeerWrong, VoiceError
from holdfast.voice.runtime.http.errors import SoundUnplayable


class InternalFailure(VoiceError):
    """Something of ours is not there: the media process is being restarted, or its bank is full."""

    code = 12400


def as_sound_error(error: VoiceError) -> VoiceError:
    """The same failure with the code that a sound's failure has."""
    if isinstance(error, DocumentTooLarge):
        return SoundUnplayable(error.message)
    return error if isinstance(error, PeerWrong) else InternalFailure(error.message)
