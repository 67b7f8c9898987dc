"""The contacts of all lines that an agent's registrar keeps."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.registrar import registrar


class ContactBook:
    """The contacts of each line, expired ones included until the line registers again."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: dict[str, registrar.Bindings] = {}

    def of(self, user: str, now: float) -> tuple[tuple[str, Address], ...]:
        """Return the contacts of a line, most preferred first: the URI to call and the address to send to."""
        return tuple((known.uri, known.to) for known in registrar.by_preference(self.bindings(user), now))

    def origin(self, uri: str, now: float) -> str | None:
        """Return the host of a contact behind a trusted proxy, as the proxy reported it; None without a proxy."""
        return next((each.behind for each in self._current(now) if each.uri == uri), None)

    def is_registered_from(self, source: Address, now: float) -> bool:
        """Return whether a line has a contact at this address."""
        return any(each.to == source for each in self._current(now))

    def restorable(self, user: str) -> registrar.Bindings:
        """Return the contacts of a line that survive our restart, for `restore`."""
        return registrar.restorable(self.bindings(user))

    def restore(self, user: str, contacts: registrar.Bindings, now: float) -> None:
        """Restore the contacts that a line had before our restart."""
        self._lines.setdefault(user, registrar.restored(contacts, now))

    def bindings(self, user: str) -> registrar.Bindings:
        """Return all contacts of a line."""
        return self._lines.get(user, {})

    def store(self, user: str, bindings: registrar.Bindings) -> None:
        """Replace the contacts of a line."""
        self._lines[user] = bindings

    def remove_connection(self, address: Address) -> Iterator[tuple[str, registrar.ContactKey, registrar.Binding]]:
        """Remove the contacts of a closed connection, and yield one for each line that had some."""
        for user, bindings in self._lines.items():
            left = registrar.without_address(bindings, address)
            if len(left) < len(bindings):
                key = next(key for key in bindings if key not in left)
                self._lines[user] = left
                yield user, key, bindings[key]

    def _current(self, now: float) -> Iterator[registrar.Binding]:
        for bindings in self._lines.values():
            yield from registrar.by_preference(bindings, now)
