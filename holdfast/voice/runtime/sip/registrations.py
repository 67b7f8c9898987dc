"""Store the contacts of registered phones, so that lines can be called after a restart of the engine.

Without this a phone could not be called until its next registration, up to an hour later. Contacts that registered
over a connection are not stored: those phones notice the end of the connection and register again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from ipaddress import ip_address
from typing import Any

from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ports import KeyValues
from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.uri import parse_uri
from holdfast.voice.sip.registrar.registrar import Binding, Bindings

log = logging.getLogger(__name__)

_KIND = "registration"
RETRY_S = 5.0
"""How long after a failure the store is tried again."""


class StoredRegistrations:
    """The contacts of all lines, written to the store by `run`. Without a `store` nothing is kept."""

    def __init__(self, store: KeyValues | None = None) -> None:
        self._store = store
        self._pending: dict[str, str] = {}
        """The text to write for each line; "" if it has no contact any more."""
        self._changed = asyncio.Event()
        self._failed = False

    def update(self, line: str, contacts: Bindings) -> None:
        """Replace the contacts of a line."""
        if self._store is not None:
            stored = [[*key, asdict(binding)] for key, binding in contacts.items()]
            self._pending[line] = json.dumps(stored) if stored else ""
            self._changed.set()

    async def load(self) -> Mapping[str, Bindings]:
        """Return what an earlier run has written. A line that cannot be read is left out. Raises: StoreFailed."""
        if self._store is None:
            return {}
        return {line: _read(line, text) for line, text in (await self._store.get_all(_KIND)).items()}

    async def run(self) -> None:
        """Write changes until cancelled. If the store fails, it is tried again."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.write():
                await asyncio.sleep(RETRY_S)
                self._changed.set()

    async def write(self) -> bool:
        """Write all pending changes, and return whether the store accepted them."""
        while self._store is not None and self._pending:
            line, text = self._pending.popitem()
            try:
                if text:
                    await self._store.put(_KIND, line, text)
                else:
                    await self._store.remove(_KIND, line)
            except StoreFailed as error:
                if not self._failed:
                    log.error("line=%s: its contacts could not be kept yet: %s", line, error.message)
                self._pending.setdefault(line, text)  # unless the phone has registered again meanwhile
                self._failed = True
                return False
            self._failed = False
        return True


def read_contacts(text: str) -> Bindings:
    """Parse stored contacts. Raises: KeyError, TypeError, ValueError, UriUnreadable."""
    stored = json.loads(text)
    if not isinstance(stored, list):
        raise TypeError(f"a {type(stored).__name__} is no list of contacts")
    return {(str(address), str(host)): _binding(binding) for address, host, binding in stored}


def _read(line: str, text: str) -> Bindings:
    try:
        return read_contacts(text)
    except (KeyError, TypeError, ValueError, UriUnreadable) as error:
        log.error("line=%s: its stored contacts cannot be read: %r", line, error)
        return {}


def _binding(stored: Mapping[str, Any]) -> Binding:
    """Parse one stored contact. Raises: KeyError, TypeError, ValueError."""
    host, port, _ = stored["to"]
    instance, flow = stored["instance"] or ("", "")
    return Binding(
        uri=parse_uri(stored["uri"]).text,
        to=Address(str(ip_address(host)), int(port)),
        registered_at=float(stored["registered_at"]),
        expires_at=float(stored["expires_at"]),
        call_id=str(stored["call_id"]),
        cseq=int(stored["cseq"]),
        preference=float(stored["preference"]),
        instance=(instance, flow) if instance else None,
        behind=None if stored.get("behind") is None else str(ip_address(stored["behind"])),
    )
