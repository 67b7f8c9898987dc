"""Check this machine: one function for each thing that can be wrong, each with its remedy."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from holdfast.cli.run_file import RunFile
from holdfast.settings import Settings, settings_file, unknown_variables
from holdfast.store.account_file import account_path

EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
OTHER_FILES = 128
"""The file descriptors that a process needs beside its RTP sockets."""
SIP_STEP = 10
"""The step from a SIP port in use to one that may be free; the next port is that of TLS."""
MIN_FREE_BYTES = 100_000_000
MAX_LATE_MS = 15.0
"""Units: milliseconds. A later wake-up makes the 20 ms clock of the media process skip ticks."""


class Severity(StrEnum):
    """The severity of a finding, as the sign that stands before it."""

    OK = "✓"
    WARNING = "!"
    BROKEN = "✗"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of a check, and what to do about it."""

    severity: Severity
    message: str
    fix: str = ""


def ok(what: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(severity=Severity.OK, message=what)


def warning(what: str, fix: str) -> Finding:
    """Return a finding that may cause trouble."""
    return Finding(severity=Severity.WARNING, message=what, fix=fix)


def broken(what: str, fix: str) -> Finding:
    """Return a finding with which `holdfast serve` cannot work."""
    return Finding(severity=Severity.BROKEN, message=what, fix=fix)


def check_environment(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Find variables of Holdfast that set nothing."""
    for problem in unknown_variables(environment):
        yield warning(problem, "docs/settings.md lists every setting.")


def check_http(settings: Settings, running: RunFile | None) -> Finding:
    """Check that the HTTP port is free."""
    if running is not None:
        return ok(f"a Holdfast runs at {running.url} (process {running.pid})")
    return _listen(socket.SOCK_STREAM, settings.http_host, settings.http_port, "HTTP", "http-port")


def check_sip(settings: Settings, running: RunFile | None) -> Finding:
    """Check that the SIP port is free, for datagrams and for connections."""
    if running is not None:
        return ok(f"SIP is served at {running.sip}")
    datagrams = _listen(socket.SOCK_DGRAM, settings.sip_host, settings.sip_port, "SIP", "sip-port")
    if datagrams.severity is Severity.BROKEN:
        return datagrams
    connections = _listen(socket.SOCK_STREAM, settings.sip_host, settings.sip_port, "SIP", "sip-port")
    if connections.severity is Severity.BROKEN or settings.sip_tls_certificate is None:
        return connections
    tls = _listen(socket.SOCK_STREAM, settings.sip_host, settings.sip_tls_port, "SIP over TLS", "sip-tls-port")
    return tls if tls.severity is Severity.BROKEN else connections


def check_certificate(settings: Settings) -> Iterator[Finding]:
    """Check that the certificate of SIP over TLS can be used, and that phones will accept it."""
    if settings.sip_tls_certificate is None:
        return
    from holdfast.voice.runtime.sip.config.tls import (
        CertificateUnusable,
        TlsFiles,
        certificate_problem,
        load_tls,
    )

    certificate = settings.sip_tls_certificate
    try:
        tls = load_tls(
            TlsFiles(certificate=certificate, key=settings.sip_tls_key, authorities=settings.sip_tls_authorities)
        )
    except CertificateUnusable as error:
        yield broken(f"{error.setting}: {error.message}", "docs/trunks.md tells how to make a certificate")
        return
    if reason := certificate_problem(tls, certificate):
        yield warning(reason, f"See its dates: openssl x509 -noout -dates -in {certificate}")
    else:
        yield ok(f"the certificate in {certificate} can be used")


def check_webhook_authorities(settings: Settings) -> Iterator[Finding]:
    """Check that the authorities that webhooks trust beside the system's can be read."""
    if settings.webhook_authorities is None:
        return
    from holdfast.voice.runtime.http.client import tls_context
    from holdfast.voice.runtime.http.errors import WebhookSettingInvalid

    try:
        tls_context(settings.webhook_authorities)
    except WebhookSettingInvalid as error:
        yield broken(error.message, "Name a PEM file with the certificates of your own authority.")
    else:
        yield ok(f"webhooks trust the authorities in {settings.webhook_authorities} too")


def check_trunks(routes: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Check what the names of trunks lead to and our registrations, from the list of routes of a running server."""
    for route in routes:
        trunk: Mapping[str, Any] | None = route
        while trunk is not None:
            port = "" if trunk["port"] is None else f":{trunk['port']}"
            where = f"trunk {trunk.get('user')}@{trunk['host']}{port}"
            if location := trunk.get("location"):
                yield _check_location(trunk["host"], location)
            match trunk.get("registration"):
                case {"state": "registered"}:
                    yield ok(f"registered with {where}")
                case {"state": "failed", "status": status, "reason": reason}:
                    yield warning(
                        f"not registered with {where}: {status} {reason}",
                        "Its calls do not reach us. Compare user, password and domain with what the provider gave you.",
                    )
                case {"state": _}:
                    yield warning(f"{where} has not answered our registration yet", "Is its address right?")
            trunk = trunk.get("backup")


def check_names(settings: Settings) -> Iterator[Finding]:
    """Look up the names of the trunks in the store and the settings, as a server would that is not running."""
    import asyncio

    from holdfast.cli.settings_directory import open_directory
    from holdfast.store.database import DatabaseInvalid, open_database
    from holdfast.store.key_values import SqlKeyValues
    from holdfast.voice.model.errors import StoreFailed
    from holdfast.voice.runtime.sip.config.settings import SipSettings
    from holdfast.voice.runtime.sip.config.tls import CertificateUnusable, TlsFiles, load_tls
    from holdfast.voice.runtime.sip.names.located_directory import LocatedDirectory

    async def look_up() -> list[Finding]:
        certificate = settings.sip_tls_certificate
        files = None if certificate is None else TlsFiles(certificate=certificate, key=settings.sip_tls_key)
        sip = SipSettings(
            address=(settings.sip_host, settings.sip_port),
            tls=None if files is None else load_tls(files),
            nameservers=settings.nameserver_addresses,
            trunk_allow=settings.trunk_allow,
        )
        async with open_database(settings.store_path) as database, asyncio.TaskGroup() as tasks:
            directory = await open_directory(SqlKeyValues(database), settings, account=f"AC{'0' * 32}")
            located = LocatedDirectory(directory, sip, tasks, now=time.time)
            await located.locate_all()
        found = {trunk.host: location for trunk in directory.trunks() if (location := located.location(trunk))}
        return [
            _check_location(host, {"addresses": location.places(), "problem": location.problem})
            for host, location in found.items()
        ]

    try:
        yield from asyncio.run(look_up())
    except (CertificateUnusable, DatabaseInvalid, StoreFailed) as error:
        yield warning(f"the names of trunks were not looked up: {error}", "Mend that first.")


def _check_location(host: str, location: Mapping[str, Any]) -> Finding:
    """Return what the name of a trunk leads to."""
    leads_to = f"{host} leads to {', '.join(location['addresses'])}"
    if not location["problem"]:
        return ok(f"trunk {leads_to}")
    fix = "Compare the name with what the provider gave you, and the setting nameservers: docs/trunks.md."
    if location["addresses"]:
        return warning(f"trunk {leads_to}, and not to all its addresses: {location['problem']}", fix)
    return broken(f"trunk {host} leads nowhere: {location['problem']}", fix)


def rtp_ports(settings: Settings) -> str:
    """Return the RTP ports and their address, in words."""
    return f"RTP ports {settings.rtp_base}-{settings.rtp_base + 2 * settings.rtp_rows - 1} of {settings.media_ip}"


def check_rtp_ports(settings: Settings, running: RunFile | None) -> Finding:
    """Check that the RTP ports are free. A running server has its own, which its run file names."""
    if running is not None:
        return ok(f"audio is served at {running.rtp}")
    where = rtp_ports(settings)
    taken = 0
    for port in range(settings.rtp_base, settings.rtp_base + 2 * settings.rtp_rows):
        try:
            with _socket(socket.SOCK_DGRAM, settings.media_ip) as probe:
                probe.bind((settings.media_ip, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return broken(
                    f"{where} cannot be opened: {error.strerror}", "Set rtp_ip to an address of this machine."
                )
            taken += 1
    if taken:
        return warning(f"{taken} of {where} are taken by other programs", "Give another range: --rtp-base 20000")
    return ok(f"{where}: {settings.rtp_rows} legs can have audio at once")


def check_ephemeral(settings: Settings, source: Path = EPHEMERAL_PORTS) -> Finding:
    """Check that the system does not give our RTP ports to other programs. Source: Linux, ip_local_port_range."""
    try:
        lowest, highest = (int(port) for port in source.read_text().split())
    except (OSError, ValueError):
        return warning(f"{source} cannot be read", "Choose RTP ports that the system does not give out by itself.")
    last = settings.rtp_base + 2 * settings.rtp_rows - 1
    if settings.rtp_base <= highest and last >= lowest:
        return warning(
            f"RTP ports {settings.rtp_base}-{last} are in the range the system gives to programs ({lowest}-{highest})",
            "Give a range below it: --rtp-base 16384",
        )
    return ok(f"RTP ports lie outside the ephemeral range {lowest}-{highest}")


def check_descriptors(settings: Settings) -> Finding:
    """Check that the media process may open all its sockets: two for each row."""
    needed = 2 * settings.rtp_rows + OTHER_FILES
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        fitting = max((hard - OTHER_FILES) // 2, 0)
        return warning(
            f"{hard} files may be open; {settings.rtp_rows} legs need {needed}, so only {fitting} will have audio",
            f"Raise the limit (ulimit -Hn {needed}), or ask for less: --rtp-rows {fitting}",
        )
    return ok(f"enough files may be open ({needed} needed)")


def check_clock(sleep: Callable[[float], None] = time.sleep, rounds: int = 25) -> Finding:
    """Measure how late this machine wakes a process that sleeps for one tick, and check that its date is plausible."""
    if time.time() < 1_700_000_000:
        return broken("the clock of this machine is before 2023", "Set it: webhooks are dated, certificates expire.")
    latest = 0.0
    for _ in range(rounds):
        began = time.monotonic()
        sleep(0.02)
        latest = max(latest, (time.monotonic() - began - 0.02) * 1000)
    result = f"a sleep of 20 ms is late by {latest:.1f} ms at most"
    if latest > MAX_LATE_MS:
        return warning(result, "The machine is busy or throttled: expect skipped ticks. Look at `top`.")
    return ok(result)


def check_store(settings: Settings) -> Finding:
    """Check that the store can be opened and written."""
    import asyncio

    from holdfast.store.database import DatabaseInvalid, open_database

    async def opened() -> None:
        async with open_database(settings.store_path) as database:
            await database.drain()

    try:
        asyncio.run(opened())
    except DatabaseInvalid as error:
        return broken(str(error), f"ls -ld {settings.store_path.parent}")
    free = shutil.disk_usage(settings.store_path.parent).free
    if free < MIN_FREE_BYTES:
        return warning(
            f"only {free // 1_000_000} MB are free for the store", f"Make room at {settings.store_path.parent}."
        )
    return ok(f"the store can be written: {settings.store_path}")


def check_account(settings: Settings) -> Finding:
    """Check that other users of this machine cannot read the account."""
    if settings.account_sid:
        return ok(f"the account is {settings.account_sid}, from the settings")
    path = account_path(settings.store_path)
    if not path.exists():
        return ok("the account will be made on first start")
    if _is_open_to_others(path):
        return warning(f"others can read the account's token in {path}", f"chmod 600 {path}")
    return ok(f"the account is kept in {path}, for you alone")


def check_privacy(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """Check that other users of this machine cannot read passwords, calls and recordings."""
    store = settings.store_path
    beside = [store.with_name(store.name + end) for end in ("", "-wal", "-shm")]
    for path in (*beside, store.parent / "recordings"):
        if _is_open_to_others(path):
            mode = "700" if path.is_dir() else "600"
            yield warning(f"others can read {path}, where calls are kept", f"chmod {mode} {path}")
    file = settings_file(config)
    if (settings.auth_token or settings.lines or settings.routes) and _is_open_to_others(file):
        yield warning(f"others can read {file}, which has tokens or passwords", f"chmod 600 {file}")


def _is_open_to_others(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False


def check_decoding() -> Finding:
    """Check that the decoding process works here: it decodes a tone in each format."""
    import asyncio
    import io

    remedy = "Install Holdfast's packages again: make clean install"
    try:
        import numpy as np
        import soundfile

        from holdfast.voice.runtime.http.errors import SoundUnplayable
        from holdfast.voice.runtime.sounds.decode_client import Decoder
    except (ImportError, OSError) as error:
        return broken(f"audio cannot be decoded: {error}", remedy)

    tone = 0.5 * np.sin(np.arange(16_000) * (2 * np.pi * 440 / 16_000))
    kinds = ("wav", "flac", "ogg", "mp3")

    async def decode_each() -> str | None:
        decoder = Decoder()
        try:
            for kind in kinds:
                file = io.BytesIO()
                soundfile.write(file, tone, 16_000, format=kind.upper())
                sound = await decoder.decode(file.getvalue(), kind)
                if not (sound.format == kind and 0.9 < sound.seconds < 1.2 and abs(sound.level_db + 9) < 2):
                    return f"{kind.upper()} is decoded wrongly: {sound.seconds:.2f} s at {sound.level_db:.0f} dB"
        finally:
            await decoder.close()
        return None

    try:
        wrong = asyncio.run(decode_each())
    except (SoundUnplayable, soundfile.SoundFileError) as error:
        wrong = str(error)
    return broken(f"audio cannot be decoded: {wrong}", remedy) if wrong else ok("WAV, FLAC, OGG and MP3 can be decoded")


def check_cores() -> Finding:
    """Check that signalling and audio have a core each."""
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        return warning("there is one core for signalling and audio together", "Fine for trying; give it two for work.")
    return ok(f"{cores} cores")


def _listen(kind: socket.SocketKind, host: str, port: int, protocol: str, flag: str) -> Finding:
    if port == 0:
        return ok(f"{protocol} takes any free port of {host}")
    try:
        with _socket(kind, host) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                letter = "t" if kind == socket.SOCK_STREAM else "u"
                other = port + (SIP_STEP if flag == "sip-port" else 1)
                fix = f"See who: ss -l{letter}np sport = :{port}. Or take another: holdfast serve --{flag} {other}"
                return broken(f"{protocol} port {port} of {host} is taken by another program", fix)
            case errno.EACCES:
                return broken(
                    f"{protocol} port {port} of {host} is not allowed for you", f"Take one from 1024 on: --{flag} 8080"
                )
            case _:
                fix = f"Use an address of this machine, such as 127.0.0.1: --{flag.replace('port', 'host')} 127.0.0.1"
                return broken(f"{protocol} cannot listen at {host}: {error.strerror}", fix)
    return ok(f"{protocol} port {port} of {host} is free")


def _socket(kind: socket.SocketKind, host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
