"""The life of the media process: it outlives its control, not its supervisor, and reports what it cannot do."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from holdfast.voice.media.rtp import rtcp
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.packing import LENGTHS
from holdfast.voice.media_process.errors import MediaRefused, MediaUnavailable, RowsFull
from holdfast.voice.model.facts import SoundEnded
from holdfast.voice.runtime.media_client import MediaClient
from tests.loopback.media_process import (
    WAIT_S,
    Media,
    assert_one_stream,
    free_ports,
    humming,
    phones,
    rtp,
    running,
    seated,
    sound_of,
    start,
)

MUSIC = b"".join(bytes([0x60 + k]) * 160 for k in range(5))


@asynccontextmanager
async def control(media: Media) -> AsyncIterator[Media]:
    """Attach another control to the same process until it is cancelled."""
    client = MediaClient(media.path)
    other = Media(media.process, client, media.path)
    async with asyncio.TaskGroup() as tasks:
        background = [
            tasks.create_task(client.run(), name="media-client"),
            tasks.create_task(other.collect(), name="media-facts"),
        ]
        async with asyncio.timeout(WAIT_S):
            await client.attached()
        yield other
        for task in background:
            task.cancel()


@asynccontextmanager
async def alone(folder: Path, *given: str, rows: int = 8) -> AsyncIterator[Media]:
    """A media process without a control."""
    path = folder / "media"
    process = await start(*given, path=path, rows=rows)
    try:
        yield Media(process, MediaClient(path), path)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(WAIT_S):
            await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Wait for the process to end; return its exit status and its output."""
    async with asyncio.timeout(WAIT_S):
        _, output = await process.communicate()
    return process.returncode, output.decode()


async def test_audio_goes_on_while_control_is_away_and_the_next_one_takes_over(tmp_path: Path) -> None:
    async with alone(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        async with control(media) as first:
            to_alice, to_bob = await first.leg("alice", alice), await first.leg("bob", bob)
            await first.client.put_clip("music", MUSIC)
            with first.client.batch():
                first.client.send(m.PlayClip(token=sound_of("bob", "hold"), clip_id="music", loops=0))
                first.client.send(m.PlayClip(token=sound_of("alice", "short"), clip_id="music", loops=6))
                first.client.send(seated({"alice": ("bob",), "bob": None}))
            await first.wait_fact(m.RowAudioStarted)
        async with humming((alice, to_alice), (bob, to_bob)):
            await alice.hears_audio(bob.hum)
            await alice.hears_more(30)
            mark = bob.read()
            async with control(media) as second:
                attached = await second.wait_fact(m.ControlAttached)
                assert [(row.leg, row.port, row.room, row.playing) for row in attached.rows] == [
                    ("alice", to_alice, "CF1", None),
                    ("bob", to_bob, "CF1", "bob/hold"),
                ]
                assert [row.latched for row in attached.rows] == [True, True]
                # Facts from meanwhile are reported now.
                await second.wait_fact(SoundEnded, lambda fact: fact.token == "alice/short")
                await second.wait_fact(m.FirstPacket, lambda fact: fact.leg == "bob")
                # A row that is there is given again.
                assert (await second.client.open_row("bob")).port == to_bob
                second.client.send(m.CloseRow(leg="alice"))
                await second.rows(lambda rows: [row.leg for row in rows] == ["bob"])
                await bob.hears_more(2)
        heard = [packet.payload for packet in bob.received[mark:]]
        assert {payload[0] for payload in heard} <= set(range(0x60, 0x65))
        assert_one_stream(bob.received)
        assert_one_stream(alice.received)


async def test_a_newer_control_replaces_an_older_one(tmp_path: Path) -> None:
    async with running(tmp_path) as media:
        reader, writer = await asyncio.open_unix_connection(str(media.path))
        try:
            async with asyncio.timeout(WAIT_S):
                greeting = await reader.readexactly(LENGTHS.size)
                assert LENGTHS.unpack(greeting)[0] > 0
            await media.wait_fact(m.ControlDetached)
        finally:
            writer.close()
        await media.rows(lambda rows: rows == ())


async def test_without_a_process_commands_are_refused_and_requests_fail(tmp_path: Path) -> None:
    client = MediaClient(tmp_path / "missing")
    with pytest.raises(MediaUnavailable):
        await client.open_row("alice")
    client.send(m.PlayClip(token=sound_of("alice", "t"), clip_id="music"))
    client.send(seated({"alice": (), "bob": None}))
    client.send(m.CloseRow(leg="bob"))
    facts = client.facts()
    refused = [await anext(facts) for _ in range(2)]
    assert [(fact.leg, fact.command, fact.token) for fact in refused if isinstance(fact, m.RequestRefused)] == [
        ("alice", "PlayClip", "alice/t"),
        ("bob", "CloseRow", None),
    ]


async def test_a_process_that_dies_is_reported_and_its_successor_begins_empty(tmp_path: Path) -> None:
    async with running(tmp_path) as media:
        await media.client.open_row("alice")
        media.process.kill()
        await media.process.wait()
        await media.wait_fact(m.ControlDetached)
        with pytest.raises(MediaUnavailable):
            await media.client.rows()
        successor = await start(path=media.path)
        try:
            async with asyncio.timeout(WAIT_S):
                await media.client.attached()
            assert await media.client.rows() == ()
        finally:
            successor.terminate()
            await ended(successor)


async def test_the_process_ends_by_sigterm_not_by_sigint_and_sends_bye(tmp_path: Path) -> None:
    async with alone(tmp_path) as media, phones(0x21) as (alice,):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reports:
            reports.bind(("127.0.0.1", 0))
            reports.settimeout(WAIT_S)
            host, port = reports.getsockname()
            async with control(media) as first:
                await first.client.open_row("alice")
                first.client.send(m.DescribeRow(leg="alice", remote=(host, port - 1)))
                await first.client.applied()
                media.process.send_signal(signal.SIGINT)
                assert len(await first.client.rows()) == 1
                media.process.send_signal(signal.SIGTERM)
                status, _ = await ended(media.process)
            assert status == 0
            assert not media.path.exists()
            assert reports.recv(1500)[-8:-4] == struct.pack("!BBH", 0x81, 203, 1)
        assert alice.read() == 0


async def test_the_process_ends_with_its_supervisor(tmp_path: Path) -> None:
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    try:
        process = await start("--supervisor", str(supervisor.pid), path=tmp_path / "media")
        media = Media(process, MediaClient(tmp_path / "media"), tmp_path / "media")
        async with control(media) as first:
            assert await first.client.rows() == ()
            supervisor.kill()
            status, _ = await ended(process)
        assert status == 0
    finally:
        if supervisor.returncode is None:
            supervisor.kill()
        await supervisor.wait()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("--base", "16385"), "even"),
        (("--base", "65530"), "65535"),
        (("--supervisor", "999999999"), "cannot start"),
        (("--socket", "/"), "cannot start"),
        (("--socket", "/" + "x" * 200), "cannot start"),
    ],
)
async def test_the_process_refuses_to_start_with_impossible_options(
    tmp_path: Path, given: tuple[str, ...], why: str
) -> None:
    status, output = await ended(await start(*given, path=tmp_path / "media"))
    assert status == 2
    assert why in output


async def test_two_processes_do_not_share_a_socket(tmp_path: Path) -> None:
    async with running(tmp_path) as media:
        status, output = await ended(await start(path=media.path))
        assert status == 2
        assert "taken" in output
        await media.rows(lambda rows: rows == ())


async def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    (left := socket.socket(socket.AF_UNIX)).bind(str(tmp_path / "media"))
    left.close()
    async with running(tmp_path) as media:
        assert (tmp_path / "media").stat().st_mode & 0o777 == 0o600
        assert await media.client.rows() == ()


async def test_a_low_limit_on_open_files_is_raised_or_reported(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    soft_only = ("sh", "-c", 'ulimit -S -n 70; exec "$@"', "sh")
    assert hard == resource.RLIM_INFINITY or hard >= 124
    async with running(tmp_path, rows=20, under=soft_only) as media:
        assert (await media.wait_fact(m.ControlAttached)).capacity == 20
        for k in range(20):
            await media.client.open_row(str(k))
    hard_too = ("sh", "-c", 'ulimit -n 73; exec "$@"', "sh")
    async with running(tmp_path, rows=20, under=hard_too) as media:
        assert (await media.wait_fact(m.ControlAttached)).capacity == 3
        for k in range(3):
            await media.client.open_row(str(k))
        with pytest.raises(RowsFull):
            await media.client.open_row("one more")
        assert media.process.stderr is not None
        async with asyncio.timeout(WAIT_S):
            assert b"rows=3 of 20" in await media.process.stderr.readline()


async def test_ports_rest_after_use_and_occupied_ones_are_skipped(tmp_path: Path) -> None:
    base = free_ports(4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", base + 3))
        async with running(tmp_path, "--base", str(base), rows=4) as media:
            ports = [(await media.client.open_row(str(k))).port for k in range(2)]
            assert ports == [base, base + 4]
            media.client.send(m.CloseRow(leg="0"))
            assert (await media.client.open_row("2")).port == base + 6
    async with running(tmp_path, "--base", str(base), "--rest", "0", rows=4) as media:
        for k in range(10):
            assert (await media.client.open_row(str(k))).port == base
            media.client.send(m.CloseRow(leg=str(k)))


async def test_clips_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path, "--clip-frames", "500") as media:
        await media.client.put_clip("a", b"\x55" * 160 * 300)
        with pytest.raises(MediaRefused):
            await media.client.put_clip("b", b"\x55" * 160 * 501)
        assert await media.client.has_clip("a")
        await media.client.put_clip("c", b"\x55" * 160 * 300)
        assert not await media.client.has_clip("a")


async def test_missed_ticks_are_skipped_and_reported(tmp_path: Path) -> None:
    """After a stop it continues with the next packet, later in time: no burst, no gap."""
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        await media.leg("alice", alice)
        await alice.hears_more(5)
        media.process.send_signal(signal.SIGSTOP)
        mark = alice.read()
        # The length of the stop decides how many ticks are left out; that any are decides the test.
        await asyncio.sleep(0.3)
        media.process.send_signal(signal.SIGCONT)
        skipped = await media.wait_fact(m.TicksSkipped)
        await alice.hears_more(5)
        assert_one_stream(alice.received)
        moved = [after.timestamp - before.timestamp for before, after in pairwise(alice.received)]
        assert 160 * (1 + skipped.count) in [move % 2**32 for move in moved[mark - 2 :]]


async def test_traffic_is_reported_to_control_and_to_the_party(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reports:
            reports.bind(("127.0.0.1", 0))
            reports.setblocking(False)
            to_alice, _ = await media.leg("alice", alice), await media.leg("bob", bob)
            # RTCP that names its own port is answered there, not beside the RTP port.
            receiver_report = struct.pack("!BBHI", 0x81, 201, 7, 7)
            alice.send_audio(to_alice, 2)
            alice.sent += 3
            alice.send_audio(to_alice)
            (row, _) = await media.rows(lambda rows: rows[0].packets_received == 3)
            await alice.hears_more(1)
            block = struct.pack("!IIIIII", alice.received[0].ssrc, 4, 0, 80, 0, 0)
            reports.sendto(receiver_report + block, ("127.0.0.1", to_alice + 1))
            statistics = await media.wait_fact(
                m.Statistics, lambda fact: fact.leg == "alice" and fact.reported_lost is not None
            )
            assert (statistics.packets_received, statistics.packets_lost) == (3, 3)
            assert (statistics.reported_lost, statistics.reported_jitter_ms) == (4, 10.0)
            await media.wait_fact(m.Load)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(WAIT_S):
                report = await loop.sock_recv(reports, 1500)
            assert struct.unpack_from("!BBHI", report) == (0x81, 200, 12, alice.received[0].ssrc)
            assert struct.unpack_from("!I", report, 28) == (7,)
            assert row.port == to_alice


async def test_a_silent_party_is_reported(tmp_path: Path) -> None:
    """It is reported again and again, whether it may send or not, but not if nothing was agreed."""
    async with running(tmp_path, "--silence", "0.5") as media, phones(0x21, 0x31) as (alice, bob):
        await media.leg("alice", alice)
        await media.client.open_row("bob")
        media.client.send(m.DescribeRow(leg="bob", remote=bob.address, receive=False))
        await media.client.open_row("carol")
        await media.wait_fact(m.RtpSilent, lambda fact: fact.leg == "alice" and fact.silent_s >= 3)
        await media.wait_fact(m.RtpSilent, lambda fact: fact.leg == "bob" and fact.silent_s >= 3)
        assert not [fact for fact in media.facts if isinstance(fact, m.RtpSilent) and fact.leg == "carol"]


async def test_a_party_that_suppresses_silence_is_alive_while_its_reports_arrive(tmp_path: Path) -> None:
    """Comfort noise, agreed or not, and reports are signs of life, and no packet is lost where noise was sent."""
    async with running(tmp_path, "--silence", "1") as media, phones(0x21, 0x31, 0x41) as (alice, bob, carol):
        each = {"alice": alice, "bob": bob, "carol": carol}
        ports = {name: await media.leg(name, phone) for name, phone in each.items()}
        for name, phone in each.items():
            phone.send_audio(ports[name], 3)
        report = struct.pack("!BBHI", 0x80, rtcp.RECEIVER_REPORT, 1, 7)
        for _ in range(12):
            alice.send(rtp(alice.sent, b"\x40", payload_type=13), ports["alice"])
            alice.sent += 1
            bob.send(report, ports["bob"] + 1)
            await alice.hears_more(10)
        alice.send_audio(ports["alice"], 3)
        await alice.hears_more(3)
        await media.wait_fact(m.RtpSilent, lambda fact: fact.leg == "carol" and fact.silent_s >= 2)
        silent = {fact.leg for fact in media.facts if isinstance(fact, m.RtpSilent)}
        assert silent == {"carol"}
        media.client.send(m.CloseRow(leg="alice"))
        last = await media.wait_fact(m.Statistics, lambda fact: fact.leg == "alice" and fact.final)
        assert (last.packets_received, last.packets_lost, last.packets_refused) == (18, 0, 0)
