"""Run `holdfast doctor`: examine this machine for faults before you blame a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.text import Text

from holdfast.cli.client import make_client
from holdfast.cli.doctor import checks
from holdfast.cli.doctor.checks import Finding, Severity
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.run_file import find_run_file
from holdfast.cli.terminal import OUT, CommandStopped, print_line
from holdfast.settings import Settings

COLOURS = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.BROKEN: "bold red"}


def doctor(config: Config = None, store: Store = None) -> None:
    """Look for faults that keep Holdfast from working here, and say what to do about each.

    It checks ports, certificates, trunks and where their names lead, file descriptors, the clock, the store and the
    decoding of audio. The exit status
    is 1 if something is broken.

    \b
    holdfast doctor
    holdfast doctor --config production.toml
    """
    findings = list(examine(settings_from(config=config, store=store), config))
    for finding in findings:
        OUT.print(
            Text(f"{finding.severity} ", style=COLOURS[finding.severity]).append(finding.message, style="default")
        )
        if finding.fix:
            print_line(f"  → {finding.fix}")
    broken = sum(finding.severity is Severity.BROKEN for finding in findings)
    doubtful = sum(finding.severity is Severity.WARNING for finding in findings)
    print_line("all is well" if not broken + doubtful else f"{broken} broken, {doubtful} doubtful")
    if broken:
        raise typer.Exit(1)


def _trunks(settings: Settings) -> Iterator[Finding]:
    try:
        routes = make_client(settings).get("/engine/routes", required_key="routes")["routes"]
    except CommandStopped as error:
        yield checks.warning(f"the trunks cannot be read: {error}", error.fix)
    else:
        yield from checks.check_trunks(routes)


def examine(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """Run every check that needs no server to start."""
    running = find_run_file(settings.store_path)
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
    if running is None:
        yield from checks.check_names(settings)
    yield checks.check_account(settings)
    yield from checks.check_privacy(settings, config)
    yield checks.check_decoding()
