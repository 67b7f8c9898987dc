"""A SIP phone with ears, for tests: it calls, answers, hums its own chord, and recognises what it hears.

    async with Phone("alice", server=("127.0.0.1", 5060), password="secret") as alice:
        await alice.register()
        call = await alice.call("+15550100")
        await call.answered()
        await alice.hears("hold music")
        await call.hang_up()

A phone has one call at a time, and refuses another as busy. It needs only a SIP server that speaks UDP, TCP or TLS with
PCMU or PCMA, so it tests other servers too.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, assert_never

from holdfast.testing.audio.ears import Ear
from holdfast.testing.audio.recogniser import Heard, describe
from holdfast.testing.audio.rtp_stream import RtpStream
from holdfast.testing.calls import CallFailed, CallState, PhoneCall
from holdfast.testing.clock import now_s
from holdfast.testing.signals import HUMS, KNOWN, Chord, Sound
from holdfast.testing.sip_endpoint import open_endpoint
from holdfast.voice.model.payload_types import Codec
from holdfast.voice.sip.agent import DigestCredentials
from holdfast.voice.sip.effects import (
    Address,
    ContactsChanged,
    Effect,
    Event,
    InputRefused,
    Invited,
    LockedOut,
    MessageDropped,
    MessageSeen,
    OptionsAnswered,
    PasswordWrong,
    Registered,
    RegistrationFailed,
    SessionEvent,
    SessionId,
    Transport,
    Unregistered,
)
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.uri import contact_at
from holdfast.voice.sip.sdp import sdes
from holdfast.voice.sip.sdp.offer import (
    Negotiation,
    SrtpPolicy,
    make_offer,
)
from holdfast.voice.sip.session_commands import RefuseInvite

BUSY_HERE = 486
POLL_S = 0.01
REGISTRATION = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The manner of a phone that answers every inbound call, after it rang this long."""

    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """The manner of a phone that rings until the test answers or refuses (`PhoneCall.answer`, `PhoneCall.refuse`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuses:
    """The manner of a phone that refuses every inbound call with this status."""

    status: int = BUSY_HERE


Manner = Answers | Rings | Refuses
"""How a phone handles inbound calls."""

ALWAYS_ANSWERS = Answers()


class NotHeard(AssertionError):
    """An error for a phone that did not hear what it should. The message says what it heard instead, and when."""


class Phone:
    """A phone on a free port of this machine, from `async with` to its end.

    `hum` is what it sends (None: silence); a phone named after one of `HUMS` hums that. `sounds` is what its ear
    recognises. With `transport` TLS a `certificate` is needed, a PEM file with its key: the one the phone shows, and
    the authority it accepts. `srtp` says whether it refuses, accepts, offers or requires SRTP. Without `events` its
    digits are tones, in both directions.
    """

    def __init__(
        self,
        name: str,
        *,
        server: tuple[str, int] | Address | None = None,
        transport: Transport = "UDP",
        certificate: Path | None = None,
        srtp: SrtpPolicy = "refused",
        codecs: tuple[Codec, ...] = ("PCMU", "PCMA"),
        events: bool = True,
        hum: Chord | None = None,
        sounds: Iterable[Sound] = KNOWN,
        manner: Manner = ALWAYS_ANSWERS,
        user: str | None = None,
        password: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.name = name
        self.manner = manner
        self.call_now: PhoneCall | None = None
        self.calls: list[PhoneCall] = []
        self.messages: list[MessageSeen] = []
        self._hum = hum or next((known for known in HUMS if known.name == name), None)
        self._server = None if server is None else Address(server[0], server[1], transport)
        self._transport = transport
        self._certificate = certificate
        self._srtp: SrtpPolicy = srtp
        self._codecs = codecs
        self._events = events
        self._credentials = DigestCredentials(user=user or name, password=password) if password is not None else None
        self._user = user or name
        self._bind = (host, port)
        self.ear = Ear(tuple(sounds))
        self._tasks = asyncio.TaskGroup()
        self._phone_tasks: list[asyncio.Task[None]] = []
        self._calls_in: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self._registration: asyncio.Future[Registered | RegistrationFailed | Unregistered] | None = None
        self._registered = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._endpoint = await open_endpoint(
            host=self._bind[0],
            port=self._bind[1],
            contact_user=self._user,
            tasks=self._tasks,
            transport=self._transport,
            certificate=self._certificate,
        )
        self._start(self._handle_events(), "listening")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._hang_up_and_unregister()
        finally:
            for task in self._phone_tasks:
                task.cancel()
            # The test's own error is raised as it is, not wrapped in a group; only a cancellation is the group's.
            group_error = (kind, error, trace) if kind is asyncio.CancelledError else (None, None, None)
            try:
                await self._tasks.__aexit__(*group_error)
            finally:
                for call in self.calls:
                    call.line.close()
                self._endpoint.close()

    def _start(self, work: Coroutine[None, None, None], name: str) -> None:
        self._phone_tasks.append(self._tasks.create_task(work, name=f"phone-{self.name}-{name}"))

    @property
    def address(self) -> Address:
        """Return the SIP address of this phone."""
        return self._endpoint.address

    @property
    def status(self) -> str:
        """Return the state of this phone's call, in a word."""
        return self.call_now.state.value if self.call_now is not None else "no call"

    @property
    def uri(self) -> str:
        """Return the SIP URI that reaches this phone without a server."""
        return contact_at(self._user, self.address)

    async def register(self, *, within_s: float = 5.0) -> None:
        """Register with the server, and stay registered until the phone's end.

        Raises: CallFailed if the server refuses, TimeoutError.
        """
        server = self._require_server()
        effects = self._endpoint.agent.register(
            REGISTRATION, server, self._user, now=now_s(), domain=server.host, credentials=self._credentials
        )
        outcome = await self._registering(effects, within_s)
        if isinstance(outcome, RegistrationFailed):
            raise CallFailed(f"{self.name} was not registered", outcome.status, outcome.reason)
        self._registered = True

    async def call(self, target: str, *, by_server: bool = False, acknowledges: bool = False) -> PhoneCall:
        """Call a number or a name at the server, or any SIP URI. Return once the INVITE is sent.

        A SIP URI is called where it leads; `by_server` sends even that to the server. With `acknowledges` the phone
        requires reliable provisional responses (100rel) of its server.

        Raises: ValueError without a server, UriUnreadable for a string that is no SIP URI or has no numeric host.
        """
        session, next_hop = SessionId(secrets.token_hex(8)), None
        if target.startswith(("sip:", "sips:")):
            uri, next_hop = target, self._require_server() if by_server else None
        else:
            next_hop = self._require_server()
            uri = f"sip:{target}@{next_hop.host}:{next_hop.port}"
        line, negotiation = self._open_stream()
        negotiation, sdp = make_offer(negotiation)
        try:
            effects = self._endpoint.agent.invite(
                session,
                uri,
                now=now_s(),
                sdp=sdp,
                next_hop=next_hop,
                caller=self._user,
                caller_name=self.name,
                credentials=self._credentials,
                headers=(("Require", "100rel"),) if acknowledges else (),
            )
        except UriUnreadable:
            line.close()
            raise
        call = PhoneCall(
            session=session, way="out", peer=target, endpoint=self._endpoint, line=line, negotiation=negotiation
        )
        self._begin_call(call)
        self._endpoint.carry_out(effects)
        return call

    async def called(self, *, within_s: float = 10.0) -> PhoneCall:
        """Wait for the next inbound call. Raises: TimeoutError."""
        try:
            async with asyncio.timeout(within_s):
                return await self._calls_in.get()
        except TimeoutError:
            raise TimeoutError(f"no call for {self.name} within {within_s} s") from None

    async def hears(self, *names: str, within_s: float = 5.0) -> None:
        """Wait until the phone hears exactly these sounds: all of them, and nothing else.

        `"silence"` and `"no packets"` are names too. Raises: NotHeard.
        """
        asked_s = now_s()
        while self.ear.now(now_s()) != frozenset(names):
            if now_s() - asked_s > within_s:
                raise NotHeard(self._not_heard_message(frozenset(names), asked_s))
            await asyncio.sleep(POLL_S)

    def cut(self) -> None:
        """Break every connection, as a failing network does. A phone on UDP notices nothing."""
        self._endpoint.cut()

    def speak(self, hum: Chord | None) -> None:
        """Hum something else, in the current call and in later ones; None is silence."""
        self._hum = hum
        if self.call_now is not None:
            self.call_now.line.hum(hum)

    async def _handle_events(self) -> None:
        while True:
            self._handle_event(await self._endpoint.events.get())

    def _handle_event(self, event: Event) -> None:
        match event:
            case Invited():
                self._handle_invite(event)
            case MessageSeen():
                self.messages.append(event)
            case Registered() | RegistrationFailed() | Unregistered():
                if self._registration is not None and not self._registration.done():
                    self._registration.set_result(event)
            case (
                ContactsChanged()
                | OptionsAnswered()
                | PasswordWrong()
                | LockedOut()
                | MessageDropped()
                | InputRefused()
            ):
                pass
            case in_session:
                self._handle_session_event(in_session)

    def _handle_session_event(self, event: SessionEvent) -> None:
        for call in self.calls:
            if call.session == event.session:
                call.take(event)
                if call is self.call_now and call.state is CallState.OVER:
                    self.call_now = None

    def _handle_invite(self, event: Invited) -> None:
        if self.call_now is not None:
            self._endpoint.command(event.session, RefuseInvite(status=BUSY_HERE))
            return
        line, negotiation = self._open_stream()
        call = PhoneCall(
            session=event.session,
            way="in",
            peer=event.caller or event.caller_host,
            endpoint=self._endpoint,
            line=line,
            negotiation=negotiation,
            offer=event.sdp,
        )
        self._begin_call(call)
        match self.manner:
            case Answers(after_s=0.0):
                call.answer()
            case Answers(after_s=after_s):
                call.ring()
                self._start(_answer_later(call, after_s), "ringing")
            case Rings():
                call.ring()
            case Refuses(status=status):
                call.refuse(status)
            case _:
                assert_never(self.manner)
        self._calls_in.put_nowait(call)

    def _begin_call(self, call: PhoneCall) -> None:
        self.calls.append(call)
        self.call_now = call

    def _open_stream(self) -> tuple[RtpStream, Negotiation]:
        line = RtpStream(host=self._bind[0], ear=self.ear, hum=self._hum, ssrc=secrets.randbits(32))
        line.open()
        return line, Negotiation(
            local=line.address,
            session_id=secrets.randbits(31),
            codecs=self._codecs,
            telephone_events=self._events,
            srtp_policy=self._srtp,
            crypto=sdes.make_crypto(secrets.token_bytes),
        )

    async def _hang_up_and_unregister(self) -> None:
        if self.call_now is not None:
            await self.call_now.hang_up()
        await self.unregister()

    async def unregister(self) -> None:
        """Remove this phone from the registrar; a call it has goes on."""
        if self._registered:
            await self._registering(self._endpoint.agent.unregister(REGISTRATION, now=now_s()), within_s=2.0)
            self._registered = False

    async def _registering(
        self, effects: Iterable[Effect], within_s: float
    ) -> Registered | RegistrationFailed | Unregistered:
        self._registration = asyncio.get_running_loop().create_future()
        self._endpoint.carry_out(effects)
        async with asyncio.timeout(within_s):
            return await self._registration

    def _require_server(self) -> Address:
        if self._server is None:
            raise ValueError(f"{self.name} has no server: give Phone(server=(host, port)), or call a SIP URI")
        return self._server

    def _not_heard_message(self, expected: Heard, since_s: float) -> str:
        intervals = "\n".join(
            f"  {interval.start_s - since_s:7.2f} s to {interval.end_s - since_s:7.2f} s: {describe(interval.heard)}"
            for interval in self.ear.intervals(since_s=since_s - 1.0)
        )
        heard = intervals or "  nothing"
        return f"{self.name} should hear {describe(expected)}, and heard, counted from the asking:\n{heard}"


async def _answer_later(call: PhoneCall, after_s: float) -> None:
    await asyncio.sleep(after_s)
    if call.state is CallState.RINGING:
        call.answer()
