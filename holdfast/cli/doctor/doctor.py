"""`holdfast doctor`: look at this machine before blaming a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.text import Text

from holdfast.cli.client import client_of
from holdfast.cli.doctor import checks
from holdfast.cli.doctor.checks import Finding, Severity
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.run_file import find_running
from holdfast.cli.terminal import OUT, CommandStopped, say
from holdfast.settings import Settings

COLOURS = {Severity.FINE: "green", Severity.DOUBTFUL: "yellow", Severity.BAD: "bold red"}


def doctor(config: Config = None, store: Store = None) -> None:
    """Look for what could keep Holdfast from working here, and say what to do about it.

    Ports, certificates, file descriptors, the clock, the store, the decoding of sound. Ends with 1 if something is
    broken.

    \b
    holdfast doctor
    holdfast doctor --config production.toml
    """
    findings = list(examine(settings_from(config=config, store=store), config))
    for finding in findings:
        OUT.print(Text(f"{finding.verdict} ", style=COLOURS[finding.verdict]).append(finding.what, style="default"))
        if finding.fix:
            say(f"  → {finding.fix}")
    wrong = sum(finding.verdict is Severity.BAD for finding in findings)
    odd = sum(finding.verdict is Severity.DOUBTFUL for finding in findings)
    say("all is well" if not wrong + odd else f"{wrong} broken, {odd} doubtful")
    if wrong:
        raise typer.Exit(1)


def _trunks(settings: Settings) -> Iterator[Finding]:
    try:
        routes = client_of(settings).get("/engine/routes", has="routes")["routes"]
    except CommandStopped as trouble:
        yield checks.doubtful(f"its trunks cannot be asked for: {trouble}", trouble.fix)
    else:
        yield from checks.check_trunks(routes)


def examine(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """Everything that can be found out without starting anything."""
    running = find_running(settings.store_path)
    yield from checks.check_environment(os.environ)
    yield checks.check_http(settings, running)
    yield checks.check_sip(settings, running)
    yield from checks.check_certificate(settings)
    yield from checks.check_webhook_authorities(settings)
    if running is not None:
        yield from _trunks(settings)
    yield checks.check_rtp_ports(settings, running)
    yield checks.check_ephemeral(settings)
    yield checks.check_descriptors(settings)
    yield checks.check_cores()
    yield checks.check_clock()
    yield checks.check_store(settings)
    yield checks.check_account(settings)
    yield from checks.check_privacy(settings, config)
    yield checks.check_sound()
