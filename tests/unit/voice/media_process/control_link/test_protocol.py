"""Messages between control and the media process are parsed as they were packed, whatever pieces they arrive in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.errors import MediaMessageUnreadable

REQUESTS: list[m.Request] = [
    m.RequestBatch(
        number=1,
        commands=(
            m.DescribeRow(
                leg="CA1", remote=("127.0.0.1", 4000), codec="PCMA", dtmf_payload_type=101, send=True, receive=False
            ),
            m.DescribeRow(leg="CA2", remote=None, codec="PCMU", dtmf_payload_type=None, send=False, receive=True),
            m.DescribeRow(
                leg="CA3",
                remote=None,
                codec="PCMU",
                dtmf_payload_type=None,
                send=True,
                receive=True,
                srtp=m.SrtpParameters(send=bytes(range(30)), receive=b"\xff" * 30, profile="AES_CM_128_HMAC_SHA1_80"),
            ),
            m.RouteRows(hears=(("CA1", None), ("CA2", ()), ("CA3", ("CA1", "CA2")))),
            m.PlayClip(leg="CA1", token="CA1/1", clip_id="ü", loops=1000),
            m.StopClip(leg="CA1", token="CA1/1"),
            m.CloseRow(leg="CA1"),
        ),
    ),
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
    hears=("CA2",),
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
    m.RowAudioEnded(leg="CA1", token="t"),
    m.RowDigitPressed(leg="CA1", digit="#"),
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
    unpacker, found, at = m.Unpacker(), [], 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        found += list(unpacker.feed(data[at:cut]))
        at = cut
    return found


@given(st.lists(st.integers(0, 10**6), max_size=20), st.binary(max_size=50))
def test_requests_are_parsed_as_they_were_packed(cuts: list[int], audio: bytes) -> None:
    data = b"".join(m.pack(request, audio) for request in REQUESTS)
    assert [(m.parse_request(text), heard) for text, heard in unpacked(data, cuts)] == [
        (request, audio) for request in REQUESTS
    ]


def test_server_messages_are_parsed_as_they_were_packed() -> None:
    data = b"".join(m.pack(answer) for answer in ANSWERS)
    assert [m.parse_server_message(text) for text, _ in unpacked(data, [])] == ANSWERS


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"kind":"batch"}',
        b'{"kind":"done","number":1}',
        b'{"kind":"batch","number":1,"commands":[{"kind":"play"}]}',
        b'{"kind":"batch","number":1,"commands":[{"kind":"play","leg":"a","token":"t","clip_id":"c","loops":0}]}',
        b"[" * 5000,
    ],
)
def test_an_invalid_request_is_refused(text: bytes) -> None:
    with pytest.raises(MediaMessageUnreadable):
        m.parse_request(text)


def test_an_invalid_server_message_is_refused() -> None:
    with pytest.raises(MediaMessageUnreadable):
        m.parse_server_message(b'{"kind":"list-rows","number":1}')


@pytest.mark.parametrize("lengths", [(m.JSON_LIMIT + 1, 0), (2, m.AUDIO_LIMIT + 1)])
def test_a_message_that_claims_to_be_huge_is_refused(lengths: tuple[int, int]) -> None:
    with pytest.raises(MediaMessageUnreadable):
        list(m.Unpacker().feed(m.LENGTHS.pack(*lengths)))
