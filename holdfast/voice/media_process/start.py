"""Start the media process, and end it.

It ends on SIGTERM, or with its supervisor. It ignores SIGINT, which a terminal sends to every process, and goes on when
control goes away, because the audio must go on.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import signal
from ipaddress import IPv4Address
from pathlib import Path
from types import FrameType

from holdfast.voice.media.frames import Bytes
from holdfast.voice.media_process.control_link.control_socket import ControlSocket, ControlSocketTaken
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.legs.periodic_reports import SILENCE_S
from holdfast.voice.media_process.loop import MediaLoop
from holdfast.voice.media_process.server import MediaServer
from holdfast.voice.media_process.sockets.aio import best_io
from holdfast.voice.media_process.sockets.plain import PacketIO, PlainSockets
from holdfast.voice.media_process.sockets.rtp_ports import REST_S, Ports

log = logging.getLogger("holdfast.media")

OTHER_FILES = 64
FILES_OF_ROW = 3
"""RTP, RTCP, and a second RTP socket while a party is heard from another address than the one in its SDP."""
FACTS_KEPT = 20_000
CLIP_FRAMES = 1_600_000
"""Almost nine hours of audio. Memory is taken as clips arrive."""


def rows_allowed(wanted: int) -> int:
    """Return how many of the wanted rows the limit on open files allows, after raising it as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = FILES_OF_ROW * wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    return max(1, (soft - OTHER_FILES) // FILES_OF_ROW)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="holdfast-media", description="Carry the audio of all calls.")
    parser.add_argument("--socket", type=Path, required=True, help="local socket for requests of control")
    parser.add_argument(
        "--ip", type=IPv4Address, default=IPv4Address("127.0.0.1"), help="address at which RTP is received"
    )
    parser.add_argument("--base", type=int, default=16384, help="port of the first row; row r has base + 2r")
    parser.add_argument("--rows", type=int, default=512, help="highest number of legs at a time")
    parser.add_argument("--rest", type=float, default=REST_S, help="seconds for which a port rests after use")
    parser.add_argument(
        "--silence", type=float, default=SILENCE_S, help="seconds between two reports of a silent party"
    )
    parser.add_argument("--clip-frames", type=int, default=CLIP_FRAMES, help="frames of 20 ms that the clip bank holds")
    parser.add_argument("--plain-sockets", action="store_true", help="use one system call per packet, no kernel AIO")
    parser.add_argument("--supervisor", type=int, help="end when this process ends")
    return parser.parse_args(arguments)


def run() -> int:
    """Run the media process until it is asked to end; return its exit status."""
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s media %(levelname)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rows = rows_allowed(arguments.rows)
    if rows < arguments.rows:
        log.warning("rows=%d of %d: the limit on open files (ulimit -n) allows no more", rows, arguments.rows)
    facts = FactQueue(limit=FACTS_KEPT)

    def make_io(packets: Bytes) -> PacketIO:
        io, name = (PlainSockets(packets), "plain sockets") if arguments.plain_sockets else best_io(packets)
        log.info("packets use %s", name)
        return io

    try:
        ports = Ports(ip=str(arguments.ip), base=arguments.base, rows=rows, rest_s=arguments.rest)
        server = MediaServer(
            ports=ports, clip_frames=arguments.clip_frames, facts=facts, make_io=make_io, silence_s=arguments.silence
        )
        control_socket = ControlSocket(arguments.socket, facts)
        loop = MediaLoop(server, control_socket, facts, supervisor=arguments.supervisor)
    except (ValueError, ControlSocketTaken, ProcessLookupError) as error:
        log.error("cannot start: %s", error)
        return 2

    def stop(_signal: int, _frame: FrameType | None) -> None:
        loop.stopping = True

    signal.signal(signal.SIGTERM, stop)
    log.info("pid=%d rows=%d ports=%d-%d socket=%s", os.getpid(), rows, ports.base, ports.last, arguments.socket)
    loop.run()
    return 0
