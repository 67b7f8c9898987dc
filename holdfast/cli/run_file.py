"""Record where a server runs, in a file beside its store: written when it is ready, removed when it stops."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """A running server and the addresses it listens on, which a port of 0 in the settings leaves open."""

    pid: int
    url: str
    sip: str
    rtp: str
    birth: str
    """The start of the process, which tells it from a later one of the same number: see `process_start`."""


def process_start(pid: int) -> str:
    """Return the start of a process, for comparison only: the machine's boot, and the time since then.

    After a crash its number may belong to another process; after a restart of a container it nearly always does.
    Raises: OSError when there is no such process. Source: Linux, proc_pid_stat(5), field 22; random(4), boot_id.
    """
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot}/{stat.rpartition(')')[2].split()[19]}"


def run_file_path(store: Path) -> Path:
    """Return the path of the run file of a store."""
    return store.with_suffix(".running")


def write_run_file(store: Path, running: RunFile) -> None:
    """Record that the server is ready."""
    draft = run_file_path(store).with_suffix(f".running.{running.pid}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(running)), "utf-8")
    draft.replace(run_file_path(store))


def remove_run_file(store: Path) -> None:
    """Record that the server has stopped."""
    run_file_path(store).unlink(missing_ok=True)


def find_run_file(store: Path) -> RunFile | None:
    """Return the server of this store, or None when none runs."""
    try:
        running = RunFile(**json.loads(run_file_path(store).read_text("utf-8")))
        return running if running.birth == process_start(running.pid) else None
    except (OSError, ValueError, TypeError):
        return None


def address_of(settings: Settings) -> str:
    """Return the base URL of the running server, else the one of its settings."""
    running = find_run_file(settings.store_path)
    return running.url if running else http_url(settings.http_host, settings.http_port)


def http_url(host: str, port: int) -> str:
    """Return a base URL that a program on this machine can use."""
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
