"""Pass child processes the environment variables that they need, and no token or password.

A process's environment can be read as long as it runs, by its user and by an attacker who takes the process over.
Secrets are passed through standard input.
"""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)
_PREFIXES = ("LC_", "LD_", "PYTHON", "OMP_", "OPENBLAS_", "MALLOC_", "COVERAGE_", "XDG_")


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that a child process is started with."""
    return {name: value for name, value in environment.items() if name in _NAMES or name.startswith(_PREFIXES)}
