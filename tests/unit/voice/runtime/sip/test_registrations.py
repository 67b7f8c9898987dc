"""Contacts of registered phones, written to a store and read again."""

import asyncio
import json
from collections.abc import Mapping

import pytest

from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.runtime.sip.registrations import StoredRegistrations
from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.registrar.registrar import Binding, Bindings

pytestmark = pytest.mark.anyio


def bindings(**changes: object) -> Bindings:
    binding = Binding(
        uri="sip:alice@10.0.0.1:5062",
        to=Address("192.0.2.1", 40000),
        registered_at=1000.0,
        expires_at=4600.0,
        call_id="c",
        cseq=3,
        preference=0.5,
        instance=("<urn:uuid:1>", "1"),
        behind="198.51.100.7",
    )
    for name, value in changes.items():
        object.__setattr__(binding, name, value)
    return {("alice@10.0.0.1:5062;udp", "192.0.2.1"): binding}


class Shelf:
    """A store in memory, which can be full."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.full = False

    async def put(self, kind: str, key: str, value: str) -> None:
        if self.full:
            raise StoreFailed("disk full")
        assert kind == "registration"
        self.texts[key] = value

    async def get_all(self, kind: str) -> Mapping[str, str]:
        return dict(self.texts)

    async def remove(self, kind: str, key: str) -> None:
        self.texts.pop(key, None)


@pytest.mark.parametrize("known", [bindings(), bindings(instance=None)])
async def test_stored_contacts_are_read_again(known: Bindings) -> None:
    shelf = Shelf()
    first = StoredRegistrations(shelf)
    running = asyncio.ensure_future(first.run())
    first.update("alice", known)
    first.update("bob", known)
    first.update("bob", {})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    assert await StoredRegistrations(shelf).load() == {"alice": known}
    first.update("alice", {})
    await first.write()
    assert shelf.texts == {}


async def test_without_a_store_nothing_is_kept() -> None:
    registrations = StoredRegistrations()
    registrations.update("alice", bindings())
    await registrations.write()
    assert await registrations.load() == {}


async def test_a_store_that_fails_takes_the_next_registration(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    registrations = StoredRegistrations(shelf)
    shelf.full = True
    registrations.update("alice", bindings())
    await registrations.write()
    assert "line=alice: its contacts could not be kept yet: disk full" in caplog.text
    shelf.full = False
    registrations.update("alice", bindings(cseq=4))
    await registrations.write()
    assert await registrations.load() == {"alice": bindings(cseq=4)}


async def test_a_failed_write_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("holdfast.voice.runtime.sip.registrations.RETRY_S", 0.0)
    shelf = Shelf()
    shelf.full = True
    registrations = StoredRegistrations(shelf)
    running = asyncio.ensure_future(registrations.run())
    registrations.update("alice", bindings())
    registrations.update("bob", bindings())
    for _ in range(20):
        await asyncio.sleep(0)
    assert caplog.text.count("could not be kept yet") == 1
    shelf.full = False
    for _ in range(20):
        await asyncio.sleep(0)
    assert await registrations.load() == {"alice": bindings(), "bob": bindings()}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", ["host.example", 5060, "UDP"]),
        ("to", 5),
        ("uri", "nothing"),
        ("expires_at", "soon"),
        ("instance", "x"),
        ("behind", "a name"),
    ],
)
async def test_unreadable_contacts_are_left_out(field: str, value: object, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    registrations = StoredRegistrations(shelf)
    registrations.update("alice", bindings())
    await registrations.write()
    ((address, host, stored),) = json.loads(shelf.texts["alice"])
    shelf.texts |= {"bob": json.dumps([[address, host, stored | {field: value}]]), "carol": "["}
    assert await registrations.load() == {"alice": bindings(), "bob": {}, "carol": {}}
    assert "line=bob: its stored contacts cannot be read" in caplog.text
