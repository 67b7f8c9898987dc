"""Every scenario in short, by its name."""

from tests.interop.scenarios import alive, calling, holds, lines

ALL = {
    f"{module.__name__.rpartition('.')[2]}.{name}": found
    for module in (lines, calling, holds, alive)
    for name, found in module.ALL.items()
}
