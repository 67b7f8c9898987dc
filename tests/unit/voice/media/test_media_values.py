"""The times, levels and limits that standards, and our own pages, name. The other tests of media build on them.

Units: as the case says; a frame is 20 ms.
"""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from holdfast.voice.media import frames
from holdfast.voice.media.codec import g711, wav
from holdfast.voice.media.dtmf import event_receiver, event_sender, tone_detector, tone_generator
from holdfast.voice.media.mix import beeps, concealment, g722_legs, recording_taps, vad
from holdfast.voice.media.rtp import jitter, latch, receiver_stats, rtcp, rtp

FRAME_MS = 20

PROMISED: dict[str, tuple[object, object]] = {
    "samples in a frame of 20 ms at 8 kHz": (frames.SAMPLES, 8000 * FRAME_MS // 1000),
    # RFC 3551 §6
    "payload types of G.711": (g711.PAYLOAD_TYPE, (0, 8)),
    "payload type of G.722": (g722_legs.PAYLOAD_TYPE, 9),
    # ITU-T G.711: the codes of the smallest positive sample.
    "silence in both compandings": (g711.SILENCE, (0xFF, 0xD5)),
    "a WAV file of telephone audio": ((wav.RATE_HZ, wav.SAMPLE_BYTES, wav.HEADER_BYTES), (8000, 2, 44)),
    # RFC 3550 §5.1, §6
    "bytes of the header of RTP": (rtp.HEADER, 12),
    "version of RTP": (rtp.VERSION, 2),
    "bytes of a packet of G.711": (rtp.PACKET, 172),
    "packet types of RTCP": ((rtcp.SENDER_REPORT, rtcp.RECEIVER_REPORT, rtcp.SDES, rtcp.BYE), (200, 201, 202, 203)),
    "seconds from the epoch of NTP to that of Unix": (
        rtcp._NTP_EPOCH,
        (datetime.date(1970, 1, 1) - datetime.date(1900, 1, 1)).days * 86400,
    ),
    # RFC 3550 appendix A.1
    "sequence numbers that may be dropped, and out of order": (
        (receiver_stats.MAX_DROPOUT, receiver_stats.MAX_MISORDER),
        (3000, 100),
    ),
    # ITU-T Q.23
    "frequencies of digits": (
        (tone_detector.LOW_HZ, tone_detector.HIGH_HZ),
        ((697, 770, 852, 941), (1209, 1336, 1477, 1633)),
    ),
    "digits by frequency": ("".join(tone_detector.DTMF_DIGITS), "123A456B789C*0#D"),
    "frequencies of a digit that is sent": (
        (tone_generator.DTMF_HZ["1"], tone_generator.DTMF_HZ["D"]),
        ((697, 1209), (941, 1633)),
    ),
    # ITU-T Q.24: a digit of 40 ms is heard, one of 23 ms is not; looks are 10 ms apart and 20 ms long.
    "looks that begin a digit, and that end it": (
        (tone_detector.LOOKS_TO_BEGIN, tone_detector.LOOKS_TO_END),
        (2, 4),
    ),
    # RFC 4733 §3.2
    "digits by the code of their event": (event_receiver.DIGITS, "0123456789*#ABCD"),
    "seconds in which a late packet of an older digit is recognised": (event_receiver._RECENT / 8000, 5),
    "ms of a digit, and after it": (
        (event_sender.ON_FRAMES * FRAME_MS, event_sender.OFF_FRAMES * FRAME_MS),
        (100, 100),
    ),
    # Twilio, <Play digits>: w is half a second, W a whole one.
    "ms of a pause in digits": (
        {letter: FRAME_MS * count for letter, count in event_sender.PAUSE_FRAMES.items()},
        {"w": 500, "W": 1000},
    ),
    # RFC 4733 §2.5.1.4
    "last packets of a digit": (event_sender.END_PACKETS, 3),
    "ms of tones that may wait for a leg": (tone_generator.MAX_WAITING * FRAME_MS, 2000),
    "ms of loud audio that begin speech, and of quiet audio that end it": (
        (vad.LOUD_FRAMES * FRAME_MS, vad.QUIET_FRAMES * FRAME_MS),
        (100, 1000),
    ),
    "level and ms of audio from which a phone that holds is heard": (
        (vad.HOLD_LOUD_DB, vad.HOLD_LOUD_FRAMES * FRAME_MS),
        (-50, 300),
    ),
    "ms of a beep": (beeps.FRAMES * FRAME_MS, 200),
    "steps of the beeps": (beeps.STEPS_HZ, {"entry": (1150, 1550), "exit": (1550, 1150)}),
    "level of a beep": (beeps.LEVEL, 0.14),
    # ITU-T G.711 appendix I
    "ms of concealed audio": (concealment.MAX_CONCEALED * FRAME_MS, 60),
    "ms of audio in which the pitch is looked for": (concealment._HISTORY_FRAMES * FRAME_MS, 60),
    "pitch periods that are looked for": ((concealment.MIN_PITCH, concealment.MAX_PITCH), (8000 // 200, 120)),
    "samples of the crossfade": (concealment.CROSSFADE, 8000 * 5 // 1000),
    "ms that the jitter buffer delays at first, and at most": (
        (jitter.START_DEPTH * FRAME_MS, jitter.MAX_DEPTH * FRAME_MS),
        (40, 120),
    ),
    "ms of the ring": (jitter.SLOTS * FRAME_MS, 640),
    "ticks of silence that restart the buffer, without and with a marker": (
        (jitter.LONG_SILENCE, jitter.MARKED_SILENCE),
        (16, 3),
    ),
    "weights that restart the buffer": ((jitter.JUMP_WEIGHT, jitter.LATE_WEIGHT, jitter.RESYNC_WEIGHT), (2, 1, 4)),
    "packets and ticks until the delay shrinks": ((jitter.CALM_PACKETS, jitter.MAX_CUT_WAIT), (200, 500)),
    "packets that choose a source, and that change it": ((latch.MIN_PACKETS, latch.TAKEOVER_PACKETS), (3, 50)),
    "sequence numbers that still agree": ((latch.MAX_AHEAD, latch.MAX_BEHIND), (100, 100)),
    "frames of a block of a recording": (recording_taps.BLOCK_FRAMES * FRAME_MS, 500),
}


@pytest.mark.parametrize("what", PROMISED)
def test_the_value_is_the_one_that_is_promised(what: str) -> None:
    value, promised = PROMISED[what]
    assert value == promised


def test_speech_is_what_is_louder_than_minus_40_db() -> None:
    assert vad.LOUD_DB == -40
    assert np.isclose(vad.VoiceActivity(1)._loud, 1e-4)


def test_a_digit_is_heard_from_minus_38_db_a_tone_and_with_8_db_of_twist() -> None:
    """Units: decibels, relative to full scale."""
    assert np.isclose(tone_detector.MIN_POWER, 2 * 10**-3.8)
    assert (tone_detector.MIN_SHARE, tone_detector.MAX_TWIST_DB) == (0.7, 8.0)
    assert np.isclose(tone_detector._TWIST, 10**0.8)
