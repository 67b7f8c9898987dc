"""No printed value of Holdfast contains a secret."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

PACKAGE = Path(__file__).parents[2] / "holdfast"
SECRET = frozenset({"password", "auth_token", "secret", "digest", "md5", "sha256", "given", "send", "receive"})
"""The names of fields that are secret if they are texts or bytes; `token` and `key` too where named below."""
ALSO = {
    ("StoredAccount", "token"),
    ("AccountCredentials", "token"),
    ("RestCredentials", "token"),
    ("Crypto", "key"),
    ("Destination", "credentials"),
    ("CookieJar", "credentials"),
}


def classes() -> Iterator[type]:
    """Return every class of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if "shims" in parts or parts[-1] == "__main__":
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        module = importlib.import_module(name)
        yield from (each for each in vars(module).values() if isinstance(each, type) and each.__module__ == name)


def shown_fields(kind: type) -> Iterator[tuple[str, str]]:
    """Return name and type of each field in the repr of a value of this class."""
    if dataclasses.is_dataclass(kind):
        yield from ((field.name, str(field.type)) for field in dataclasses.fields(kind) if field.repr)
    elif issubclass(kind, BaseModel):
        yield from ((name, str(field.annotation)) for name, field in kind.model_fields.items() if field.repr)


def test_no_printed_value_contains_a_secret() -> None:
    found = list(classes())
    wrong = {
        f"{kind.__module__}.{kind.__name__}.{name}: {type_}"
        for kind in found
        for name, type_ in shown_fields(kind)
        if (name in SECRET and ("str" in type_ or "bytes" in type_)) or (kind.__name__, name) in ALSO
    }
    assert wrong == set()
    assert {name for name, _ in ALSO} <= {kind.__name__ for kind in found}
