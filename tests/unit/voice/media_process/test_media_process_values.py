"""The times and limits of the media process that standards, and our own pages, name.

The other tests build on these names. Units: as the case says.
"""

from __future__ import annotations

import pytest

from holdfast.voice.media.rtp import rtp
from holdfast.voice.media_process import loop, server, start, ticker
from holdfast.voice.media_process.control_link import control_socket, packing
from holdfast.voice.media_process.legs import (
    periodic_reports,
    recording_files,
    rows,
    rtcp_sockets,
    rtp_receive,
    rtp_send,
    statistics,
)
from holdfast.voice.media_process.sockets import plain, rtp_ports
from holdfast.voice.model.payload_types import STATIC_PAYLOAD_TYPES
from holdfast.voice.sip.sdp import sdp

TICKS_PER_S = 50

PROMISED: dict[str, tuple[object, object]] = {
    "seconds of a tick": (ticker.TICK_S, 1 / TICKS_PER_S),
    "ms of a frame": (statistics.FRAME_MS, 1000 / TICKS_PER_S),
    "ms that a phone's own buffer is taken to delay": (statistics.PEER_BUFFER_MS, 40),
    # RFC 3551 §6
    "payload types": (STATIC_PAYLOAD_TYPES, {"PCMU": 0, "PCMA": 8, "G722": 9}),
    "compandings": (rows.COMPANDING, {"PCMU": 0, "PCMA": 1, "G722": 0}),
    "a payload type that no packet has": (rows.NO_PAYLOAD_TYPE > 127, True),
    # RFC 3389
    "payload type of comfort noise": (rtp_receive.COMFORT_NOISE, 13),
    # RFC 3551 §4.2, RFC 8866 §6.5
    "ms of audio in a packet, as our descriptions say": (rtp_receive.MAX_AUDIO / 8, sdp.MAX_PTIME_MS),
    "the longest packet fits with every option: CSRCs, an extension, SRTP": (
        rtp.HEADER + 15 * 4 + 4 + 255 + rtp_receive.MAX_AUDIO + 16 < rtp.DATAGRAM,
        True,
    ),
    "packets of a row in a tick": (rtp_receive.MAX_ROUNDS, 8),
    "seconds of relayed digits that may wait": (rtp_send.MAX_RELAYED_TICKS / TICKS_PER_S, 2),
    # RFC 3551 §2: a report every five seconds
    "seconds between two reports of a row": (
        periodic_reports.TURNS * periodic_reports.TURN_TICKS / TICKS_PER_S,
        5,
    ),
    "times a second that RTCP is read": (TICKS_PER_S / periodic_reports.TURN_TICKS, 10),
    "the tick in which RTCP is read is not one that reports": (
        0 < periodic_reports.RTCP_READ_TICK < periodic_reports.TURN_TICKS,
        True,
    ),
    "seconds of silence: unlocked, reported, lost": (
        (periodic_reports.UNLOCK_S, periodic_reports.SILENCE_S, periodic_reports.LOST_S),
        (2, 10, 15),
    ),
    "ticks between two looks at silence": (periodic_reports.CHECK_TICKS, 10),
    "unauthenticated RTCP packets that are skipped, of a row and of all": (
        (periodic_reports.MAX_SKIPPED_OF_ROW, periodic_reports.MAX_SKIPPED),
        (40, 400),
    ),
    "unauthenticated datagrams that are skipped": (
        (plain.MAX_SKIPPED, plain.MIN_SKIPPED, plain.MAX_SKIPPED_IN_TICK),
        (300, 8, 2000),
    ),
    # socket(7), asm-generic/socket.h
    "SO_TIMESTAMPNS": (rtcp_sockets._TIMESTAMP, 35),
    "ports that may be used": ((rtp_ports.LOWEST_PORT, rtp_ports.HIGHEST_PORT), (1024, 65535)),
    "seconds that a port rests, and rests at least": ((rtp_ports.REST_S, rtp_ports.LEAST_REST_S), (30, 2)),
    # RFC 4594 §4.1: EF, 46, in the upper six bits
    "type of service of audio": (rtp_ports._EXPEDITED_FORWARDING, 46 << 2),
    "blocks of recordings that may wait for the disk": (recording_files.MAX_UNWRITTEN, 4000),
    "seconds between two looks for a free row": (server.PORT_CHECK_S, 0.5),
    "seconds between two reports of the load": (loop.LOAD_TICKS / TICKS_PER_S, 5),
    "bytes of a message, without and with audio": ((packing.JSON_LIMIT, packing.AUDIO_LIMIT), (4_000_000, 64_000)),
    "a part of a clip fits a message": (packing.CLIP_PART, packing.AUDIO_LIMIT),
    "bytes that control may leave unread": (control_socket._UNSENT_LIMIT, 8_000_000),
    "bytes read from control in a turn: a quarter of a megabyte": (
        control_socket._READS * control_socket._READ_BYTES,
        1 << 18,
    ),
    "facts kept for a control that is away": (start.FACTS_KEPT, 20_000),
    "hours of clips": (round(start.CLIP_FRAMES / TICKS_PER_S / 3600, 1), 8.9),
}


@pytest.mark.parametrize("what", PROMISED)
def test_the_value_is_the_one_that_is_promised(what: str) -> None:
    value, promised = PROMISED[what]
    assert value == promised
