"""Run `holdfast serve`: the engine and the holds service. This process is the supervisor of the two others."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from holdfast.cli.client import load_credentials
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.run_file import find_run_file
from holdfast.cli.server.child_process import command
from holdfast.cli.server.logs import log_to_standard_error
from holdfast.cli.terminal import CommandStopped, print_note
from holdfast.settings import PREFIX, Settings, unknown_variables

SILENCE_S = 10.0
"""The longest interval at which the media process reports a silent party."""
GOODBYE_S = 15.0
"""How long control may take to hang up calls and deliver the last callbacks."""
MEDIA_CANNOT_START = 2
OWNER_ONLY = 0o077
"""The rights of other users that no file of a server has: umask(2)."""


def serve(
    http_host: Annotated[str | None, typer.Option(metavar="HOST", help="The address for HTTP [127.0.0.1].")] = None,
    http_port: Annotated[
        str | None, typer.Option(metavar="PORT", help="The port for HTTP; 0: any free port [8080].")
    ] = None,
    sip_host: Annotated[str | None, typer.Option(metavar="IP", help="The address for SIP [127.0.0.1].")] = None,
    sip_port: Annotated[
        str | None, typer.Option(metavar="PORT", help="The port for SIP; 0: any free port [5060].")
    ] = None,
    sip_tls_certificate: Annotated[
        str | None, typer.Option(metavar="FILE", help="A PEM certificate, which turns on SIP over TLS.")
    ] = None,
    sip_tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help=r"The key of the certificate \[in the same file].")
    ] = None,
    sip_tls_authorities: Annotated[
        str | None, typer.Option(metavar="FILE", help="Authorities to trust beside the system's.")
    ] = None,
    sip_tls_port: Annotated[str | None, typer.Option(metavar="PORT", help="The port for SIP over TLS [5061].")] = None,
    sip_srtp: Annotated[
        str | None, typer.Option(metavar="MODE", help=r"SRTP on TLS lines: accept, offer or require \[accept].")
    ] = None,
    rtp_ip: Annotated[
        str | None, typer.Option(metavar="IP", help=r"The address to which phones send audio \[as --sip-host].")
    ] = None,
    public_ip: Annotated[
        str | None,
        typer.Option(metavar="IP", help="The address at which phones reach us through a NAT router."),
    ] = None,
    rtp_base: Annotated[str | None, typer.Option(metavar="PORT", help="The first RTP port, even [16384].")] = None,
    rtp_rows: Annotated[str | None, typer.Option(metavar="N", help="Legs with audio at once [512].")] = None,
    rtp_source: Annotated[
        str | None,
        typer.Option(metavar="RULE", help=r"From where RTP is accepted: named, signalling or any \[signalling]."),
    ] = None,
    phone_hold_music: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help=r"Which phones are heard that hold: trunks, always ours or always theirs \[trunks].",
        ),
    ] = None,
    trusted_proxies: Annotated[
        str | None, typer.Option(metavar="NETWORKS", help="Trusted proxies, separated by commas.")
    ] = None,
    account_sid: Annotated[str | None, typer.Option(metavar="AC…", help=r"The account \[made on first start].")] = None,
    auth_token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="The token of the account; better in the file.")
    ] = None,
    default_voice_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The document for numbers without a voice URL.")
    ] = None,
    default_country: Annotated[
        str | None, typer.Option(metavar="CC", help="The country of numbers without a plus [US].")
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The URL at which others reach this server.")
    ] = None,
    webhook_allow: Annotated[
        str | None,
        typer.Option(metavar="HOSTS", help="Private hosts or networks that webhooks may reach, separated by commas."),
    ] = None,
    nameservers: Annotated[
        str | None,
        typer.Option(metavar="IPS", help=r"DNS servers for the names of trunks, separated by commas \[the system's]."),
    ] = None,
    trunk_allow: Annotated[
        str | None,
        typer.Option(metavar="HOSTS", help="Private hosts or networks to which the names of trunks may lead."),
    ] = None,
    keep_days: Annotated[str | None, typer.Option(metavar="DAYS", help=r"Delete older recordings \[never].")] = None,
    messages: Annotated[
        str | None, typer.Option(metavar="RULE", help=r"Messages sent by REST: record or refuse \[record].")
    ] = None,
    store: Store = None,
    config: Config = None,
    settings_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the voice engine and the holds service until Ctrl-C.

    Each option can also stand in holdfast.toml (http_port = 8080) or in the environment (HOLDFAST_HTTP_PORT=8080).
    An option overrides the environment, which overrides the file. docs/settings.md lists every setting, also those
    without an option.

    \b
    holdfast serve
    holdfast serve --http-port 9000 --default-voice-url http://127.0.0.1:5000/voice
    holdfast serve --sip-host 192.168.1.20 --webhook-allow 127.0.0.1
                                    phones of the local network may register; documents come from this machine

    \b
    Then, in another terminal:
    eval "$(holdfast account)"      point an SDK at it
    holdfast line add alice         let a phone register
    """
    given = settings_from_descriptor(settings_fd) if settings_fd is not None else None
    settings = given or settings_from(
        config=config,
        store=store,
        http_host=http_host,
        http_port=http_port,
        sip_host=sip_host,
        sip_port=sip_port,
        sip_tls_certificate=sip_tls_certificate,
        sip_tls_key=sip_tls_key,
        sip_tls_authorities=sip_tls_authorities,
        sip_tls_port=sip_tls_port,
        sip_srtp=sip_srtp,
        rtp_ip=rtp_ip,
        public_ip=public_ip,
        rtp_base=rtp_base,
        rtp_rows=rtp_rows,
        rtp_source=rtp_source,
        phone_hold_music=phone_hold_music,
        trusted_proxies=trusted_proxies,
        account_sid=account_sid,
        auth_token=auth_token,
        default_voice_url=default_voice_url,
        default_country=default_country,
        public_url=public_url,
        webhook_allow=webhook_allow,
        nameservers=nameservers,
        trunk_allow=trunk_allow,
        keep_days=keep_days,
        messages=messages,
    )
    for warning in unknown_variables(os.environ):
        print_note(warning)
    if running := find_run_file(settings.store_path):
        raise CommandStopped(
            f"a Holdfast runs with this store already, at {running.url} (process {running.pid})",
            fix=f"Stop it (kill {running.pid}), or give this one a store of its own: --store sqlite:///other.db",
        )
    credentials = load_credentials(settings)
    settings = settings.model_copy(update={"account_sid": credentials.sid, "auth_token": credentials.token})
    urls = (default_voice_url or "", public_url or "")
    if given is None and (auth_token is not None or any("@" in url for url in urls) or may_hold_secrets(os.environ)):
        restart_without_secrets(settings)
    os.umask(OWNER_ONLY)
    log_to_standard_error("%(asctime)s %(levelname)s %(message)s", secrets=[credentials.token])
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        raise typer.Exit(asyncio.run(_supervised(settings, Path(folder) / "media")))


def may_hold_secrets(environment: Mapping[str, str]) -> bool:
    """Return whether these variables contain settings of Holdfast, or an SDK's account."""
    return any(name.startswith((PREFIX, "TWILIO_")) for name in environment)


def restart_without_secrets(settings: Settings) -> NoReturn:
    """Execute this program again with these settings, none of them in its arguments or its environment.

    The kernel keeps both as they were at the start, even if the program changes its own copy. The process stays the
    same. Source: Linux, proc_pid_environ(5), proc_pid_cmdline(5), memfd_create(2).
    """
    from holdfast.voice.runtime.child_environment import child_environment

    descriptor = os.memfd_create("holdfast-settings", 0)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(settings.model_dump_json(by_alias=True).encode())
    program = [sys.executable, "-m", "holdfast", "serve", "--settings-fd", str(descriptor)]
    os.execve(sys.executable, program, child_environment(os.environ))


def settings_from_descriptor(descriptor: int) -> Settings:
    """Return the settings that `restart_without_secrets` wrote. Raises: CommandStopped."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        with os.fdopen(descriptor, "rb") as file:
            return Settings.model_validate_json(file.read())
    except (OSError, ValueError) as error:
        raise CommandStopped(
            "--settings-fd is for `holdfast serve` itself, which restarts with it", fix="holdfast serve"
        ) from error


async def _supervised(settings: Settings, media_socket: Path) -> int:
    from holdfast.voice.runtime.supervisor import Child, supervise

    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        # The first Ctrl-C hangs up every call; a second one stops at once.
        (hurry if stop.is_set() else stop).set()

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(each, on_signal)
    media = Child(
        name="media",
        argv=[
            *(sys.executable, "-m", "holdfast.voice.media_process"),
            *("--socket", str(media_socket), "--ip", settings.media_ip),
            *("--base", str(settings.rtp_base), "--rows", str(settings.rtp_rows)),
            *("--silence", str(min(SILENCE_S, settings.rtp_timeout_s / 2 or SILENCE_S))),
            *("--supervisor", str(os.getpid())),
        ],
        final_statuses=frozenset({MEDIA_CANNOT_START}),
    )
    control = Child(
        name="control",
        argv=command("holdfast.cli.server.control", str(media_socket)),
        stdin_data=settings.model_dump_json(by_alias=True).encode() + b"\n",
        grace_s=GOODBYE_S,
    )
    return await supervise([media, control], stop=stop, kill=hurry)
