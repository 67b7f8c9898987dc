"""Run the control process: signalling, TwiML, webhooks, REST, the holds service and the console.

It stops in order: every call is hung up and the last callbacks are sent while HTTP still answers; then the holds are
ended in the store; HTTP stops last.

Length: one place builds the process, in the order of its start and its stop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from starlette.routing import Mount, Router
from starlette.types import ASGIApp

from holdfast.cli.client import load_credentials
from holdfast.cli.doctor.checks import Severity, check_sip, rtp_ports
from holdfast.cli.run_file import (
    RunFile,
    http_url,
    process_start,
    remove_run_file,
    write_run_file,
)
from holdfast.cli.server.greeting import greeting, sign_in_link
from holdfast.cli.server.http_limits import ConnectionLimits, raise_file_limit
from holdfast.cli.server.http_server import bind_http, http_server
from holdfast.cli.server.logs import log_to_standard_error
from holdfast.cli.server.row_checks import READERS
from holdfast.cli.server.serve import GOODBYE_S
from holdfast.cli.settings_directory import open_directory as open_stored_directory
from holdfast.cli.terminal import CommandStopped, print_error, print_line
from holdfast.console.app import console_routes
from holdfast.console.guard import AccessGuard
from holdfast.console.sessions import Sessions
from holdfast.holds.account.client import Account
from holdfast.holds.service import Holds
from holdfast.holds.web.app import DOCS, DOCS_HEADERS, make_web
from holdfast.holds.web.metrics import HoldsCollector
from holdfast.settings import Settings
from holdfast.store.account_file import StoredAccount
from holdfast.store.database import Database, DatabaseInvalid, open_database
from holdfast.store.hold_store import SqlHolds
from holdfast.store.journal import SqlJournal
from holdfast.store.key_values import SqlKeyValues
from holdfast.voice.api.app import make_api
from holdfast.voice.api.ops.diagnostics import make_diagnostics
from holdfast.voice.api.ops.explain_endpoint import make_explain
from holdfast.voice.api.ops.metrics_endpoint import CallbackCollector, Metrics, TrunkCollector
from holdfast.voice.api.ops.quality_endpoint import QualityCollector, make_quality
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ids import AccountSid
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.directory.records import (
    MIN_PASSWORD_LENGTH,
    LineRecord,
)
from holdfast.voice.runtime.engine import Engine, EngineSettings, open_engine
from holdfast.voice.runtime.http.client import tls_context
from holdfast.voice.runtime.http.errors import WebhookSettingInvalid
from holdfast.voice.runtime.sip.config.liveness import Liveness
from holdfast.voice.runtime.sip.config.settings import SipSettings
from holdfast.voice.runtime.sip.config.tls import (
    CertificateUnusable,
    Tls,
    TlsFiles,
    certificate_problem,
    load_tls,
)
from holdfast.voice.runtime.supervisor import CANNOT_WORK

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlWiring:
    """What the parts of control are built from."""

    settings: Settings
    credentials: StoredAccount
    media_socket: Path
    database: Database
    listener: socket.socket

    @property
    def url(self) -> str:
        """Return the URL of our HTTP server for programs on this machine."""
        return http_url(self.settings.http_host, self.listener.getsockname()[1])


def main(arguments: list[str]) -> int:
    """Run control until its supervisor ends it, and return the exit status."""
    settings_json = read_settings() if len(arguments) == 1 and not sys.stdin.isatty() else b""
    if not settings_json:
        print_error(CommandStopped("control is a part of `holdfast serve`", fix="holdfast serve"))
        return CANNOT_WORK
    raise_file_limit()
    settings = Settings.model_validate_json(settings_json)
    log_to_standard_error("%(asctime)s control %(levelname)s %(message)s", secrets=[settings.auth_token or ""])
    status = 0
    try:
        asyncio.run(run(settings, media_socket=Path(arguments[0])))
    except* CommandStopped as group:
        for stop in leaves(group):
            print_error(stop)
        status = CANNOT_WORK
    except* (DatabaseInvalid, StoreFailed, OSError, TimeoutError) as group:
        for error in leaves(group):
            print_error(CommandStopped(f"cannot start: {str(error) or type(error).__name__}", fix="holdfast doctor"))
        status = CANNOT_WORK
    return status


def read_settings() -> bytes:
    """Return the settings that the supervisor wrote to our standard input, as one line of JSON.

    They hold tokens and passwords, which an environment would show for the life of the process.
    """
    settings_json = bytearray()
    while not settings_json.endswith(b"\n") and (part := os.read(sys.stdin.fileno(), 65536)):
        settings_json += part
    return bytes(settings_json)


async def run(settings: Settings, *, media_socket: Path) -> None:
    """Run control until its supervisor ends it. Raises: CommandStopped, DatabaseInvalid, StoreFailed, OSError."""
    stop = stop_requested()
    finding = check_sip(settings, None)  # the engine's error would not name the address
    if finding.severity is Severity.BROKEN:
        raise CommandStopped(finding.message, fix=finding.fix)
    warn_certificate(settings)
    _check_webhook_authorities(settings)
    with bind_http(settings) as listener:
        async with open_database(settings.store_path, readers=READERS, watched=True) as database:
            wiring = ControlWiring(
                settings=settings,
                credentials=load_credentials(settings),
                media_socket=media_socket,
                database=database,
                listener=listener,
            )
            await serve(wiring, stop)


async def serve(wiring: ControlWiring, stop: asyncio.Event) -> None:
    """Start the parts from the inside out, and stop them in the order of the module's docstring."""
    holds = Holds(
        Account.engine(url=wiring.url, sid=wiring.credentials.sid, token=wiring.credentials.token),
        store=await SqlHolds.open(wiring.database),
        public_url=wiring.settings.public_url or wiring.url,
    )
    async with asyncio.TaskGroup() as tasks:
        async with holds, AsyncExitStack() as after_calls:
            journal = SqlJournal(wiring.database)
            directory = await open_directory(wiring)
            async with open_engine(
                engine_settings(wiring), journal=journal, directory=directory, store=SqlKeyValues(wiring.database)
            ) as engine:
                after_calls.push_async_callback(holds.end_all, why="the server was stopped, and hung up every call")
                host, port, _ = engine.legs.address
                tls_port = next((each.port for each in engine.legs.addresses if each.transport == "TLS"), None)
                sessions = Sessions()
                app = make_application(wiring, engine, journal, holds, sessions, sip=f"{host}:{port}")
                server = http_server(app, ConnectionLimits(trusted_proxies=wiring.settings.trusted_proxies))
                tasks.create_task(server.serve(sockets=[wiring.listener]), name="http")
                await server.ready.wait()
                supervisor = os.getppid()
                run_file = RunFile(
                    pid=supervisor,
                    url=wiring.url,
                    sip=f"{host}:{port}",
                    rtp=rtp_ports(wiring.settings),
                    birth=process_start(supervisor),
                )
                write_run_file(wiring.settings.store_path, run_file)
                for line in greeting(
                    run_file,
                    wiring.credentials,
                    tls_port,
                    sign_in_url=sign_in_link(wiring.settings.public_url or wiring.url, sessions),
                ):
                    print_line(line)
                try:
                    await stop.wait()
                    engine.begin_shutdown()
                finally:
                    remove_run_file(wiring.settings.store_path)
        server.should_exit = True


def engine_settings(wiring: ControlWiring) -> EngineSettings:
    """Return the engine's part of the settings."""
    settings = wiring.settings
    on_loopback = settings.sip_on_loopback
    return EngineSettings(
        account=AccountSid(wiring.credentials.sid),
        auth_token=wiring.credentials.token,
        sip=SipSettings(
            address=(settings.sip_host, settings.sip_port),
            advertised_ip=settings.advertised_ip,
            rtp_ip=settings.media_ip or settings.sip_host,
            rtp_ports=range(settings.rtp_base, settings.rtp_base + 2 * settings.rtp_rows),
            http=wiring.listener.getsockname()[:2],
            trust_loopback=on_loopback and settings.sip_trust_loopback,
            tls=sip_tls(settings),
            tls_port=settings.sip_tls_port,
            quiet=settings.sip_quiet,
            sha256=settings.sip_sha256,
            srtp=settings.sip_srtp,
            srtp_without_tls=settings.sip_srtp_without_tls,
            rtp_source=settings.rtp_source,
            phone_hold_music=settings.phone_hold_music,
            trusted_proxies=settings.trusted_proxies,
            nameservers=settings.nameserver_addresses,
            trunk_allow=settings.trunk_allow,
            liveness=Liveness(
                rtp_s=settings.rtp_timeout_s,
                rtp_held_s=settings.rtp_timeout_held_s,
                session_expires_s=settings.session_expires_s,
                keepalive_s=settings.keepalive_s,
            ),
        ),
        media_socket=wiring.media_socket,
        loopback=on_loopback,
        recordings=settings.store_path.parent / "recordings",
        keep_days=settings.keep_days,
        accepts_messages=settings.messages == "record",
        own_urls=[wiring.url, *([settings.public_url] if settings.public_url else [])],
        webhook_allow=settings.webhook_allow,
        webhook_authorities=settings.webhook_authorities,
        default_country=settings.default_country,
    )


def sip_tls(settings: Settings) -> Tls | None:
    """Return the TLS configuration of SIP, or None without a certificate. Raises: CommandStopped."""
    if settings.sip_tls_certificate is None:
        return None
    files = TlsFiles(
        certificate=settings.sip_tls_certificate, key=settings.sip_tls_key, authorities=settings.sip_tls_authorities
    )
    try:
        return load_tls(files)
    except CertificateUnusable as error:
        raise CommandStopped(
            f"{error.setting}: {error.message}", fix="docs/trunks.md tells how to make a certificate"
        ) from error


def warn_certificate(settings: Settings) -> None:
    """Warn of a certificate that can be used and that phones will reject. Raises: CommandStopped."""
    tls = sip_tls(settings)
    if (
        tls is not None
        and settings.sip_tls_certificate is not None
        and (reason := certificate_problem(tls, settings.sip_tls_certificate))
    ):
        log.warning("sip_tls_certificate: %s", reason)


def _check_webhook_authorities(settings: Settings) -> None:
    """Check that the file of webhook authorities can be used. Raises: CommandStopped."""
    try:
        tls_context(settings.webhook_authorities)
    except WebhookSettingInvalid as error:
        raise CommandStopped(
            error.message, fix="name a PEM file with the certificates of your own authority"
        ) from error


async def open_directory(wiring: ControlWiring) -> Directory:
    """Return the directory of the store, with the entries of the settings set in it. Raises: CommandStopped."""
    directory = await open_stored_directory(
        SqlKeyValues(wiring.database), wiring.settings, account=wiring.credentials.sid
    )
    refuse_short_passwords(wiring.settings, directory.lines())
    return directory


def refuse_short_passwords(settings: Settings, lines: Iterable[LineRecord]) -> None:
    """Refuse short passwords of lines when SIP does not listen on loopback alone. Raises: CommandStopped."""
    short = [line.name for line in lines if line.short]
    if short and not settings.sip_on_loopback:
        raise CommandStopped(
            f"the password of line {', '.join(short)} has fewer than {MIN_PASSWORD_LENGTH} characters, "
            f"and SIP listens at {settings.sip_host}, not on loopback alone",
            fix="Give it a longer one, in holdfast.toml if it stands there: holdfast line add " + short[0],
        )


def make_application(
    wiring: ControlWiring, engine: Engine, journal: SqlJournal, holds: Holds, sessions: Sessions, *, sip: str
) -> ASGIApp:
    """Return the engine's API, the holds service and the console as one application behind one access guard."""
    sid, token = AccountSid(wiring.credentials.sid), wiring.credentials.token
    metrics = Metrics(switch=engine.switch)
    metrics.add("media", QualityCollector(engine.quality))
    metrics.add_counters(engine.counters, engine.not_ready_reason)
    metrics.add("callbacks", CallbackCollector(engine.webhooks.callbacks))
    metrics.add("trunks", TrunkCollector(engine.legs.trunks))
    metrics.add("holds", HoldsCollector(holds.hold_log, time.time))
    api = make_api(
        switch=engine.switch,
        directory=engine.directory,
        notifications=engine.notifications,
        messages=engine.messages,
        journal=journal,
        account_sid=sid,
        auth_token=token,
        metrics=metrics,
        requests_per_s=wiring.settings.api_requests_per_s,
        calls_per_s=wiring.settings.calls_per_s,
        recordings=engine.recorder,
        is_ending=engine.is_stopping,
    )
    app = make_web(holds, is_ending=engine.is_stopping)
    app.include_router(
        make_diagnostics(
            switch=engine.switch,
            directory=engine.directory,
            journal=journal,
            account_sid=sid,
            auth_token=token,
            metrics=metrics,
            not_ready=engine.not_ready_reason,
            registrations=engine.legs,
            min_password_length=1 if wiring.settings.sip_on_loopback else MIN_PASSWORD_LENGTH,
        )
    )
    app.include_router(make_quality(engine.quality, account_sid=sid, auth_token=token))
    app.include_router(
        make_explain(
            switch=engine.switch,
            journal=journal,
            quality=engine.quality,
            unsent=engine.webhooks.callbacks.unsent,
            account_sid=sid,
            auth_token=token,
        )
    )
    app.router.routes.extend(console_routes(sip=sip, sessions=sessions, docs=DOCS, docs_headers=DOCS_HEADERS))
    # Side by side, so that the engine's API answers every request in its own format.
    apps = Router([Mount("/2010-04-01", api), Mount("", app)])
    return AccessGuard(apps, sid=sid, token=token, sessions=sessions, metrics_open=wiring.settings.metrics_open)


def stop_requested(*, goodbye_s: float = GOODBYE_S) -> asyncio.Event:
    """Return an event that is set when the supervisor requests the end, or has died and so closed our standard input.

    Without a supervisor no process would end a shutdown that hangs: the kernel does, after `goodbye_s` seconds.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def read() -> None:
        with suppress(BlockingIOError):
            if not os.read(sys.stdin.fileno(), 1024):
                loop.remove_reader(sys.stdin.fileno())
                signal.setitimer(signal.ITIMER_REAL, goodbye_s)
                stop.set()

    os.set_blocking(sys.stdin.fileno(), False)
    loop.add_reader(sys.stdin.fileno(), read)
    return stop


E = TypeVar("E", bound=BaseException)


def leaves(group: BaseExceptionGroup[E]) -> list[E]:
    """Return the errors in a group, at any depth."""
    return [
        leaf for each in group.exceptions for leaf in (leaves(each) if isinstance(each, BaseExceptionGroup) else [each])
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
