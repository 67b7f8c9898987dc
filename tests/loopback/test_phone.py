"""Two phones call each other directly: everything a test asks of a phone, over real sockets."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from holdfast.testing.audio.ears import stream
from holdfast.testing.calls import CallFailed, CallState
from holdfast.testing.clock import now_s
from holdfast.testing.hold_forms import HoldForm
from holdfast.testing.phone import Answers, NotHeard, Phone, Refuses, Rings
from holdfast.testing.signals import CAROL
from holdfast.testing.sip_endpoint import open_endpoint
from holdfast.voice.sip.effects import Address, EndCause
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.digest import Ha1

pytestmark = pytest.mark.anyio


@pytest.fixture
async def alice() -> AsyncIterator[Phone]:
    async with Phone("alice") as phone:
        yield phone


@pytest.fixture
async def bob() -> AsyncIterator[Phone]:
    async with Phone("bob") as phone:
        yield phone


async def test_each_hears_the_other_until_one_hangs_up(alice: Phone, bob: Phone) -> None:
    call = await alice.call(bob.uri)
    await call.answered()
    answered = await bob.called()

    await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
    await call.hang_up()

    assert await answered.over() is EndCause.HUNG_UP
    assert await call.over() is EndCause.WE_HUNG_UP
    assert (alice.call_now, bob.call_now) == (None, None)
    for phone in (alice, bob):
        report = stream(phone.ear.packets())
        assert (report.sources, report.holes) == (1, 0)


async def test_a_phone_that_holds_by_itself_sends_and_does_not_listen(alice: Phone, bob: Phone) -> None:
    call = await alice.call(bob.uri)
    await call.answered()
    await alice.hears("bob")

    await call.hold()
    await alice.hears("no packets")
    await bob.hears("alice")
    assert call.state is CallState.HOLDING

    await call.hold(HoldForm.INACTIVE)
    await bob.hears("no packets")

    await call.unhold()
    await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
    assert call.progress == []


async def test_a_phone_rings_as_long_as_its_manner_says(alice: Phone, bob: Phone) -> None:
    bob.manner = Answers(after_s=0.1)

    call = await alice.call(bob.uri)
    await call.rang()
    assert call.state is CallState.RINGING
    await call.answered()

    assert call.progress == [180]


async def test_a_call_may_be_answered_by_hand(alice: Phone, bob: Phone) -> None:
    bob.manner = Rings()
    call = await alice.call(bob.uri)
    ringing = await bob.called()
    await call.rang()

    ringing.answer()

    await call.answered()
    assert ringing.peer == "alice"


async def test_a_refusal_says_its_status(alice: Phone, bob: Phone) -> None:
    bob.manner = Refuses(status=603)

    call = await alice.call(bob.uri)

    with pytest.raises(CallFailed, match="603") as refused:
        await call.answered()
    assert refused.value.status == 603
    assert await call.over() == 603


async def test_a_caller_may_give_up(alice: Phone, bob: Phone) -> None:
    bob.manner = Rings()
    call = await alice.call(bob.uri)
    ringing = await bob.called()
    await call.rang()

    await call.hang_up()

    assert await call.over() == 487
    assert await ringing.over() is EndCause.CANCELLED


async def test_a_phone_has_one_call_at_a_time(alice: Phone, bob: Phone) -> None:
    await (await alice.call(bob.uri)).answered()

    async with Phone("carol") as carol:
        with pytest.raises(CallFailed, match="486"):
            await (await carol.call(bob.uri)).answered()


async def test_a_phone_can_change_its_hum(alice: Phone, bob: Phone) -> None:
    await (await alice.call(bob.uri)).answered()
    await bob.hears("alice")

    alice.speak(CAROL)
    await bob.hears("carol")
    alice.speak(None)
    await bob.hears("silence")


async def test_a_missing_sound_is_reported_with_the_sounds_heard(alice: Phone, bob: Phone) -> None:
    await (await alice.call(bob.uri)).answered()
    await alice.hears("bob")

    with pytest.raises(NotHeard, match=r"alice should hear hold music.*\n.*bob"):
        await alice.hears("hold music", within_s=0.1)


async def test_every_wait_is_bounded(alice: Phone, bob: Phone) -> None:
    bob.manner = Rings()
    call = await alice.call(bob.uri)

    with pytest.raises(TimeoutError, match="no answer within"):
        await call.answered(within_s=0.1)
    with pytest.raises(TimeoutError, match="no call for alice"):
        await alice.called(within_s=0.1)


async def test_a_phone_without_a_server_says_so(alice: Phone) -> None:
    with pytest.raises(ValueError, match="has no server"):
        await alice.call("+15550100")
    with pytest.raises(ValueError, match="has no server"):
        await alice.register()


async def test_a_target_that_is_no_address_is_refused(alice: Phone) -> None:
    with pytest.raises(UriUnreadable):
        await alice.call("sip:bob@example.com")


class Lines:
    """A registrar's policy: these lines, and nobody else."""

    def __init__(self, passwords: dict[str, str]) -> None:
        self._passwords = passwords

    def ha1_of(self, user: str) -> Ha1 | None:
        return Ha1.of(user, self._passwords[user]) if user in self._passwords else None

    def is_registrar(self) -> bool:
        return True

    def is_trusted_proxy(self, host: str) -> bool:
        return False

    def may_call_unauthenticated(self, source: Address) -> bool:
        return False


async def test_a_line_registers_and_leaves() -> None:
    policy = Lines({"alice": "wonderland"})
    async with asyncio.TaskGroup() as tasks:
        registrar = await open_endpoint(host="127.0.0.1", port=0, contact_user="registrar", policy=policy, tasks=tasks)
        async with Phone("alice", server=registrar.address, password="wonderland") as alice:
            await alice.register()
            ((contact, address),) = registrar.agent.contacts.of("alice", now_s())
            assert (contact, address) == (alice.uri, alice.address)
        assert registrar.agent.contacts.of("alice", now_s()) == ()

        async with Phone("alice", server=registrar.address, password="wrong") as impostor:
            with pytest.raises(CallFailed, match="was not registered"):
                await impostor.register()
        registrar.close()
