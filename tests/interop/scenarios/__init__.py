"""Every scenario by its name."""

from tests.interop.scenarios import lines

ALL = {**lines.ALL}
