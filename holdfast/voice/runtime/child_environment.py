"""The environment that processes of ours get: what a program needs to run, and no token or password of anybody's.

The environment of a process can be read as long as it lives, by its user and by whatever takes the process over. What
is secret goes by its standard input.
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
    """What of an environment a process of ours is started with."""
    return {name: value for name, value in environment.items() if name in _NAMES or name.startswith(_PREFIXES)}
