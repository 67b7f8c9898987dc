"""Where a running server is: a small file beside its store, written when it is ready and removed when it stops."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """A server and the addresses it really listens on, which a port of 0 in the settings leaves open."""

    pid: int
    url: str
    sip: str
    rtp: str
    birth: str
    """What tells this process from a later one of the same number: see `birth_of`."""


def process_start(pid: int) -> str:
    """When a process began, for comparison alone: the machine's boot, and the time since then.

    After a crash its number may belong to another process: after a restart of a container it nearly always does.
    Raises: OSError when there is no such process. Source: Linux, proc_pid_stat(5), field 22; random(4), boot_id.
    """
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot}/{stat.rpartition(')')[2].split()[19]}"


def run_file_path(store: Path) -> Path:
    """Where the server of a store says that it runs."""
    return store.with_suffix(".running")


def write_run_file(store: Path, running: RunFile) -> None:
    """Say that the server is ready."""
    draft = run_file_path(store).with_suffix(f".running.{running.pid}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(running)), "utf-8")
    draft.replace(run_file_path(store))


def remove_run_file(store: Path) -> None:
    """Say that the server is gone."""
    run_file_path(store).unlink(missing_ok=True)


def find_run_file(store: Path) -> RunFile | None:
    """The server of this store, if it runs."""
    try:
        running = RunFile(**json.loads(run_file_path(store).read_text("utf-8")))
        return running if running.birth == process_start(running.pid) else None
    except (OSError, ValueError, TypeError):
        return None


def address_of(settings: Settings) -> str:
    """The base URL of the server: where it says it is, else where its settings say it would be."""
    running = find_run_file(settings.store_path)
    return running.url if running else http_url(settings.http_host, settings.http_port)


def http_url(host: str, port: int) -> str:
    """A base URL that a program on this machine can use."""
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
