"""Make the environment of a program that `holdfast run` starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SHIMS = Path(__file__).parents[1] / "shims"


def child_environment(base: Mapping[str, str], *, url: str, sid: str, token: str) -> dict[str, str]:
    """Return `base`, changed so that Twilio's SDK for Python and for Node uses the engine at `url`."""
    changed = {
        "TWILIO_ACCOUNT_SID": sid,
        "TWILIO_AUTH_TOKEN": token,
        "TWILIO_API_BASE_URL": url,
        "HOLDFAST_API": url,
        "PYTHONPATH": _joined(":", str(SHIMS / "python"), base.get("PYTHONPATH")),
        "NODE_OPTIONS": _joined(" ", base.get("NODE_OPTIONS"), f'--require "{_quoted(SHIMS / "twilio.cjs")}"'),
        # A proxy in the environment would receive the requests to the engine too.
        "NO_PROXY": _joined(",", base.get("NO_PROXY"), "127.0.0.1,localhost"),
        "no_proxy": _joined(",", base.get("no_proxy"), "127.0.0.1,localhost"),
    }
    # The SDKs write an edge and a region into the host they call, and the engine has neither.
    return {name: value for name, value in base.items() if name not in ("TWILIO_EDGE", "TWILIO_REGION")} | changed


def _joined(separator: str, *parts: str | None) -> str:
    return separator.join(part for part in parts if part)


def _quoted(path: Path) -> str:
    # Source: Node.js, NODE_OPTIONS: inside double quotes a backslash escapes.
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
