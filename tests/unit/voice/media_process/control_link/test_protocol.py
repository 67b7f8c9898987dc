"""Messages between control and the media process are parsed as they were packed, whatever pieces they arrive in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.rtp.srtp import SrtpKeys
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.packing import (
    AUDIO_LIMIT,
    JSON_LIMIT,
    LENGTHS,
    Unpacker,
    pack,
    parse_request,
    parse_server_message,
)
from holdfast.voice.media_process.control_link.recording_messages import OpenTap
from holdfast.voice.media_process.errors import MediaMessageUnreadable
from holdfast.voice.model.effects import (
    Beep,
    ChangeCapture,
    DetectSpeech,
    DropUnheard,
    RouteAudio,
    Seat,
    StopSound,
)
from holdfast.voice.model.facts import DigitPressed, LegSpeaks, SoundEnded
from holdfast.voice.model.ids import CallSid, RecordingSid, RoomSid, Token
from holdfast.voice.model.payload_types import PayloadTypes

REQUESTS: list[m.Command | m.Request] = [
    m.DescribeRow(leg="CA1", remote=("127.0.0.1", 4000), codec="PCMA", dtmf_payload_type=101, send=True, receive=False),
    m.DescribeRow(leg="CA2", remote=None, codec="PCMU", dtmf_payload_type=None, send=False, receive=True),
    m.DescribeRow(
        leg="CA2",
        remote=None,
        payload_types=PayloadTypes(send=(("PCMA", 96),), receive=((97, "PCMA"), (110, "telephone-event"))),
    ),
    m.DescribeRow(leg="CA3", remote=None, srtp=SrtpKeys(send=bytes(range(30)), receive=b"\xff" * 30)),
    RouteAudio(
        room=RoomSid("CF1"),
        seats=(
            Seat(call=CallSid("CA1"), held=True, rings=True),
            Seat(call=CallSid("CA2"), coach=CallSid("CA1"), listens=False),
        ),
        left=(CallSid("CA3"),),
    ),
    Beep(room=RoomSid("CF1"), tone="exit", moved=(CallSid("CA3"),)),
    DropUnheard(calls=(CallSid("CA1"),)),
    DetectSpeech(calls=(CallSid("CA1"),), enabled=True),
    OpenTap(recording="RE1", path="/ü", voices=(((RoomSid("CF1"), "says"),), ((CallSid("CA1"), "hears"),))),
    ChangeCapture(recording=RecordingSid("RE1"), mode="silent"),
    m.LeaveRooms(),
    m.HearLeg(leg="CA1", source=None),
    m.PlayClip(token=Token("CA1/1"), clip_id="ü", loops=1000),
    StopSound(token=Token("CA1/1")),
    m.CloseRow(leg="CA1"),
    m.Apply(number=1),
    m.OpenRow(number=2, leg="CA1"),
    m.PutClip(number=3, clip_id="c", total=10, offset=0),
    m.HasClip(number=4, clip_id="c"),
    m.ListRows(number=5),
]
ROW = m.RowState(
    leg="CA1",
    row=0,
    ip="127.0.0.1",
    port=16384,
    remote=("127.0.0.1", 4000),
    latched=True,
    codec="PCMU",
    dtmf_payload_type=None,
    send=True,
    receive=True,
    srtp="AES_CM_128_HMAC_SHA1_80",
    room="CF1",
    playing=None,
    clip_id=None,
    packets_received=1,
    packets_sent=2,
)
ANSWERS: list[m.ServerMessage] = [
    m.Done(number=1),
    m.NotDone(number=1, reason="full", message="no row"),
    m.RowOpened(number=1, row=3, ip="127.0.0.1", port=16390),
    m.ClipKnown(number=1, known=True),
    m.RowList(number=1, rows=(ROW,)),
    m.ControlAttached(pid=1, capacity=2, rows=(ROW,)),
    m.FirstPacket(leg="CA1", source=("127.0.0.1", 4000)),
    m.RowAudioStarted(leg="CA1", token="t", monotonic_s=1.5),
    SoundEnded(token=Token("CA1/1")),
    DigitPressed(call=CallSid("CA1"), digit="#"),
    LegSpeaks(call=CallSid("CA1"), speaks=True),
    m.RtpSilent(leg="CA1", silent_s=10.0),
    m.TicksSkipped(count=3),
    m.RowsAvailable(available=False),
    m.Load(
        rows=1,
        ticks=250,
        ticks_skipped=0,
        busy=0.01,
        p50_tick_ms=0.2,
        p99_tick_ms=0.5,
        p99_worked_ms=0.4,
        longest_tick_ms=1.0,
        latest_start_ms=0.1,
    ),
    m.RequestRefused(leg="CA1", command="play", token="t", message="no clip"),
    m.FactsLost(count=9),
]


def unpacked(data: bytes, cuts: list[int]) -> list[tuple[bytes, bytes]]:
    unpacker, found, at = Unpacker(), [], 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        found += list(unpacker.feed(data[at:cut]))
        at = cut
    return found


@given(st.lists(st.integers(0, 10**6), max_size=20), st.binary(max_size=50))
def test_requests_are_parsed_as_they_were_packed(cuts: list[int], audio: bytes) -> None:
    data = b"".join(pack(request, audio) for request in REQUESTS)
    assert [(parse_request(text), heard) for text, heard in unpacked(data, cuts)] == [
        (request, audio) for request in REQUESTS
    ]


def test_server_messages_are_parsed_as_they_were_packed() -> None:
    data = b"".join(pack(answer) for answer in ANSWERS)
    assert [parse_server_message(text) for text, _ in unpacked(data, [])] == ANSWERS


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'["Apply"]',
        b'["Apply",{}]',
        b'["Apply",{"number":1},1]',
        b'["Done",{"number":1}]',
        b'["Nothing",{}]',
        b'[["Apply"],{"number":1}]',
        b'["PlayClip",{"clip_id":"c"}]',
        b'["PlayClip",{"token":"a/1","clip_id":"c","loops":-1}]',
        b'["RelayDigit",{"leg":"a","digit":"12"}]',
        b'["DescribeRow",{"leg":"a","remote":null,"srtp":["x","y","z"]}]',
        b'["RouteAudio",{"room":"CF1","seats":[{"held":true}]}]',
        b"[" * 5000,
    ],
)
def test_an_invalid_request_is_refused(text: bytes) -> None:
    with pytest.raises(MediaMessageUnreadable):
        parse_request(text)


def test_an_invalid_server_message_is_refused() -> None:
    with pytest.raises(MediaMessageUnreadable):
        parse_server_message(b'["ListRows",{"number":1}]')


@pytest.mark.parametrize("lengths", [(JSON_LIMIT + 1, 0), (2, AUDIO_LIMIT + 1)])
def test_a_message_that_claims_to_be_huge_is_refused(lengths: tuple[int, int]) -> None:
    with pytest.raises(MediaMessageUnreadable):
        list(Unpacker().feed(LENGTHS.pack(*lengths)))
