"""Keep the engine registered with the trunks that the directory lists, and remember the status of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from holdfast.voice.runtime.directory.records import RouteRecord
from holdfast.voice.sip.agent import Agent
from holdfast.voice.sip.effects import Address, Effect, Registered, RegistrationFailed, Unregistered
from holdfast.voice.sip.message.digest import DigestCredentials

log = logging.getLogger(__name__)

EXPIRES_S = 600
"""The time for which each registration is requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkStatus:
    """The status of the registration with one trunk. Units: `until` and `again_at` seconds since the Unix epoch."""

    host: str
    port: int | None
    user: str
    state: Literal["trying", "registered", "failed"] = "trying"
    until: float | None = None
    """When the registration ends. A refresh that fails does not shorten what was granted before."""
    status: int | None = None
    reason: str = ""
    again_at: float | None = None

    @property
    def label(self) -> str:
        """Return the user at the host, with the port where it is known."""
        return f"{self.user}@{self.host}" if self.port is None else f"{self.user}@{self.host}:{self.port}"


class Trunks:
    """The registrations with trunks. Invariant: the agent registers with exactly the trunks in `_requested`."""

    def __init__(self) -> None:
        self._unregistering: set[str] = set()
        self._all_unregistered = asyncio.Event()
        self._requested: dict[str, RouteRecord] = {}
        self._registrars: dict[str, tuple[Address, ...]] = {}
        """The addresses of each requested trunk; empty while its name leads nowhere."""
        self._states: dict[str, TrunkStatus] = {}

    def update(
        self, wanted: Iterable[tuple[RouteRecord, tuple[Address, ...]]], agent: Agent, now: float
    ) -> list[Effect]:
        """Register with the trunks that are wanted now, each at its addresses, and unregister from all others.

        A trunk whose name leads nowhere any more keeps the registration that it has.
        """
        wanted_by_name = {
            _registration_name(trunk): (replace(trunk, backup=None), addresses)
            for trunk, addresses in wanted
            if trunk.register
        }
        effects: list[Effect] = []
        for name, requested in list(self._requested.items()):
            if name not in wanted_by_name or wanted_by_name[name][0] != requested:
                del self._requested[name], self._states[name]
                if self._registrars.pop(name):
                    self._unregistering.add(name)
                    effects += agent.unregister(name, now=now)
        for name, (trunk, addresses) in wanted_by_name.items():
            if trunk.user is None:
                continue
            self._requested[name] = trunk
            self._states.setdefault(name, TrunkStatus(host=trunk.host, port=trunk.port, user=trunk.user))
            known = self._registrars.setdefault(name, ())
            if not addresses or set(addresses) == set(known):
                continue
            self._registrars[name] = addresses
            self._unregistering.discard(name)
            if known:
                effects += agent.move_registration(name, addresses, now=now)
                continue
            effects += agent.register(
                name,
                addresses[0],
                trunk.user,
                now=now,
                domain=trunk.domain or (trunk.host if trunk.is_named else None),
                credentials=DigestCredentials(user=trunk.user, password=trunk.password or "", realms=trunk.realms),
                expires_s=EXPIRES_S,
                others=addresses[1:],
                keep_trying=True,
            )
        return effects

    async def wait_unregistered(self) -> None:
        """Wait until every trunk has confirmed that the engine is no longer registered."""
        self._all_unregistered.clear()
        if self._unregistering:
            await self._all_unregistered.wait()

    def handle_event(self, event: Registered | RegistrationFailed | Unregistered, now: float) -> None:
        """Handle the outcome of a registration; that of one no longer wanted is ignored."""
        self._unregistering.discard(event.registration)
        if not self._unregistering:
            self._all_unregistered.set()
        status = self._states.get(event.registration)
        if status is None or isinstance(event, Unregistered):
            return
        where = status.label
        if isinstance(event, Registered):
            if status.state != "registered":
                log.info("trunk=%s fact=Registered for=%.0f s", where, event.expires_s)
            statuses = replace(status, state="registered", until=now + event.expires_s)
            self._states[event.registration] = replace(statuses, status=None, reason="", again_at=None)
            return
        log.warning("trunk=%s fact=RegistrationFailed status=%d why=%r", where, event.status, event.reason)
        again_at = None if event.retry_in_s is None else now + event.retry_in_s
        failed = replace(status, state="failed", status=event.status, reason=event.reason, again_at=again_at)
        self._states[event.registration] = failed

    def status_of(self, trunk: RouteRecord) -> TrunkStatus | None:
        """Return the status of the registration with one trunk; None if the engine does not register there."""
        return self._states.get(_registration_name(trunk))

    def statuses(self) -> tuple[TrunkStatus, ...]:
        """Return the status of every registration."""
        return tuple(self._states.values())


def _registration_name(trunk: RouteRecord) -> str:
    """Return the name of a registration: one for each user at each address, for all prefixes that leave there."""
    return f"{trunk.user}@{trunk.host}:{trunk.port}/{trunk.transport}"
