"""This module defines the holds service: hold, resume, list and watch calls on an account with Twilio's voice API.

async with Holds(Account.engine()) as holds:
    hold = await holds.hold(call)
    await holds.resume(hold)
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from enum import StrEnum
from types import TracebackType

from holdfast.holds.call_overview import CallOverview, CallView
from holdfast.holds.clock import SystemClock, Timeouts
from holdfast.holds.concurrency import HomeLoop, KeyedLocks
from holdfast.holds.conference.executor import ConferenceExecutor
from holdfast.holds.errors import AccountUnreachable, BadInput, HoldRefused, NotAllowed
from holdfast.holds.execution.hold_executor import HoldExecutor
from holdfast.holds.execution.takeover import Takeover
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.hold import (
    CallEnded,
    Hold,
    HoldEnded,
    Message,
    MusicFailed,
    Status,
    WayName,
)
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.legs.adoption import PairAdoption
from holdfast.holds.legs.continuation import ContinuationResult
from holdfast.holds.legs.executor import LegsExecutor
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.legs.planner import party_left
from holdfast.holds.phone_holds import PhoneHolds
from holdfast.holds.policy import Policy, why_not_hold, why_not_resume
from holdfast.holds.ports import AccountPort, ClockPort, HoldEvent, HoldStore
from holdfast.holds.reconciler import Reconciler, other_party_left
from holdfast.holds.steps.account_steps import ContinueDocument
from holdfast.holds.steps.documents import Documents
from holdfast.holds.steps.pair import Pair, next_document
from holdfast.holds.validation import (
    check_hold_request,
    check_texts,
    checked_url,
    is_call_sid,
    is_hold_id,
    parse_call_sid,
)


class Legs(StrEnum):
    """A value of `Legs` says how the service holds a call of two independent legs."""

    QUEUE = "queue"
    CONVERT = "convert"
    """Move both into a conference at the first hold."""


class Holds:
    """Holds puts calls of one account on hold and resumes them.

    `public_url`: where the account reaches our web application (`holdfast.holds.web.app`); None: there is none, and
    only calls in conferences can be held. Use it as `async with Holds(…) as holds`: then connections are kept open, and
    limits, owners and parties that left are checked. Without it each call of a method still works by itself.

    A service belongs to the event loop of its first use; from any other each method raises `WrongEventLoop` at once.
    """

    def __init__(
        self,
        account: AccountPort,
        *,
        store: HoldStore | None = None,
        public_url: str | None = None,
        policy: Policy | None = None,
        legs: Legs | str = Legs.QUEUE,
        timeouts: Timeouts | None = None,
        clock: ClockPort | None = None,
        new_id: Callable[[], HoldId] | None = None,
    ) -> None:
        if public_url is not None:
            checked_url("public_url", public_url)
        self.account = account
        self.policy = policy or Policy()
        self.public_url = public_url
        clock, timeouts, store = clock or SystemClock(), timeouts or Timeouts(), store or MemoryStore()
        self.documents = None if public_url is None else Documents(public_url, self.policy)
        reachable = self.documents if public_url is not None and account.can_reach(public_url) else None
        self._locks = KeyedLocks()
        self.hold_log = HoldLog(store, clock, new_id=new_id)
        self.pairs = PairIndex(store)
        self.legs = None if reachable is None else LegsExecutor(account, clock, timeouts, reachable, self.pairs)
        self.conferences = ConferenceExecutor(account, clock, timeouts, reachable)
        continue_url = None if reachable is None else reachable.continue_url()
        self._executor = HoldExecutor(
            account,
            self.hold_log,
            self.pairs,
            self._locks,
            self.conferences,
            self.legs,
            convert=Legs(legs) is Legs.CONVERT,
            continue_url=continue_url,
        )
        self._adoption = PairAdoption(account, self.pairs, reachable=reachable is not None)
        self._takeover = Takeover(account, self.hold_log, self.policy, self.conferences, self.legs, self.pairs)
        self.overview = CallOverview(account, self.hold_log, self.pairs, continue_url=continue_url)
        self._phone_holds = PhoneHolds(account, self.hold_log, clock, interval_s=timeouts.phone_check_interval_s)
        self._reconciler = Reconciler(self._executor, self.hold_log, self.policy, clock, timeouts)
        self._home_loop = HomeLoop()
        self._loading = asyncio.Lock()
        self._loaded = False
        self._running: AsyncExitStack | None = None

    # Holding.

    async def hold(
        self,
        call: str,
        *,
        by: str | None = None,
        music: str | None = None,
        reason: str | None = None,
        limit_s: float | None = None,
    ) -> Hold:
        """Put a live call on hold, and return once its party hears hold music.

        `by` names the owner: a person, or the SID of the owner's own call. `music` is the URL of an audio file, looped
        where the account can fetch our document, or else played once, with silence after it; or of a TwiML document of
        Say, Play, Pause and Redirect. Without `music` the party hears the account's own. Holding a call that is already
        on hold returns that same hold and changes nothing.

        Raises: CallNotInProgress; HoldRefused, before anything was touched, with the line that would make it work;
        NotAllowed; BadInput; HoldFailed; AccountUnreachable; OutcomeUnknown, when the account stopped responding in the
        middle: the hold stays open and is reconciled when the account responds again.
        """
        self._home_loop.check()
        sid = parse_call_sid(call)
        check_hold_request(by=by, music=music, reason=reason, limit_s=limit_s)
        denial = why_not_hold(self.policy, by)
        if denial is not None:
            raise NotAllowed(denial)
        await self.load()
        if self.pairs.has_served() and self.pairs.of(sid) is None:
            await self._adoption.add_served(sid)
        async with self._executor.lock(sid):
            existing = self.hold_log.of_call(sid)
            if existing is not None:
                try:
                    existing = await self._executor.reconcile(existing)
                except AccountUnreachable:
                    # The last known status is all that can be returned.
                    return existing
                if existing.active:
                    return existing
            opened = await self.hold_log.open(sid, by=by, reason=reason, music=music, limit_s=limit_s)
            return await self._executor.begin(opened)

    async def resume(self, hold: Hold | str, *, by: str | None = None) -> Hold:
        """Resume a held party, and return once it hears the others again.

        Takes a hold, a hold's id, or the SID of a held call. Returns the hold: `resumed`, or `call-ended` when the
        party had hung up. Resuming a hold that has ended returns that same hold.

        A call that another service holds, or an earlier run without a store, is taken over and resumed: in a conference
        the account shows enough for this; by two legs it needs a `public_url`, and the parent hangs up at the end of
        the conversation, because the account does not show where the parent was to continue.

        Raises: HoldUnknown; NotAllowed; HoldFailed when the account did not resume the party: it is held as before;
        HoldRefused, before anything was touched, when a hold cannot be taken over; OutcomeUnknown; BadInput.
        """
        self._home_loop.check()
        check_texts(by=by)
        await self.load()
        current = await self._find(hold, by=by, taken_over=True)
        if current.way is WayName.PHONE and current.active:
            raise HoldRefused(
                "the party's own phone holds, and only it can resume the call",
                fix="Ask the party to press Hold again; a hold of ours on the same call is a separate hold.",
                hold=current.id,
            )
        async with self._executor.lock(current.call):
            current = await self.hold_log.get(current.id)
            if not current.active:
                return current
            denial = why_not_resume(self.policy, current, by)
            if denial is not None:
                raise NotAllowed(denial, hold=current.id)
            if current.status is not Status.HELD:
                current = await self._executor.reconcile(current)
                if not current.active:
                    return current
            return await self._executor.resume(current, by=by, why=None)

    # Pairs of independent legs.

    async def adopt(self, parent: str, child: str | None = None, *, after: str | None = None) -> Pair:
        """Record that the continuation of this call's `<Dial>` is ours, so that both legs can be held.

        For applications that put `action="{holds.continue_url}"` on their own Dial, or a `<Redirect>` to it after the
        Dial. `after` is where the parent continues when the conversation is over. Adopting twice changes nothing.

        Raises: CallNotInProgress; HoldRefused when these are no parent and child; BadInput; AccountUnreachable.
        """
        self._home_loop.check()
        if after is not None:
            checked_url("after", after)
        parent_sid = parse_call_sid(parent)
        child_sid = None if child is None else parse_call_sid(child)
        await self.load()
        async with self._executor.lock(parent_sid):
            return await self._adoption.adopt(parent_sid, child_sid, after)

    @property
    def continue_url(self) -> str:
        """Return the `action` for an application's own `<Dial>`. Raises: BadInput without a public_url."""
        if self.documents is None:
            raise BadInput("this service has no public URL: Holds(…, public_url=…) was not given")
        return self.documents.continue_url()

    async def add_child(self, parent: CallSid, child: CallSid, *, after: str | None) -> None:
        """Record the child of a Dial that we served, once it has answered."""
        self._home_loop.check()
        if after is not None:
            checked_url("after", after)
        await self._adoption.add_child(parent, child, after)

    async def apply_continuation(self, call: CallSid, result: ContinuationResult) -> None:
        """Carry out what follows from a continuation: release the other party, end the holds that it ended."""
        self._home_loop.check()
        if self.legs is None:
            return
        async with self._locks.lock(result.pair.parent.call):
            await self.legs.apply_continuation(call, result)
            held = self.hold_log.of_call(call)
            if held is not None and result.music_failed is not None:
                why = f"{result.music_failed} cannot be played; the account's own music takes its place"
                await self.hold_log.handle(held.id, MusicFailed(why=why))
            await self._end_holds(result.pair, ended_call=result.ended_call)

    async def handle_call_ended(self, call: CallSid) -> None:
        """Handle the report that this call is over."""
        self._home_loop.check()
        pair = self.pairs.of(call)
        if self.legs is None or pair is None:
            return
        async with self._locks.lock(pair.parent.call):
            pair = self.pairs.of(call)
            if pair is not None:
                await self.legs.handle_call_ended(call)
                await self._end_holds(party_left(pair, call).pair, ended_call=call)

    async def end_all(self, *, why: str) -> None:
        """End every active hold, because every call of the account is over: its engine was stopped.

        Work in progress is not waited for: what it finds out after this changes nothing.
        """
        self._home_loop.check()
        await self.load()
        for hold in self.hold_log.active():
            await self.hold_log.handle(hold.id, CallEnded(why=why))
        for pair in self.pairs.all():
            await self.pairs.forget(pair)

    async def _end_holds(self, pair: Pair, *, ended_call: CallSid | None) -> None:
        """End the holds of a pair that is over, or together again."""
        for party in (pair.parent, pair.child):
            hold = self.hold_log.of_call(party.call)
            if hold is None or hold.status is not Status.HELD:
                continue
            if party.call == ended_call:
                message: Message = CallEnded(why="the party hung up")
            elif pair.over:
                message = other_party_left(continues=isinstance(next_document(pair, party.call), ContinueDocument))
            elif not party.held:
                message = HoldEnded(why="the account ended the wait; both parties are together again")
            else:
                continue
            await self.hold_log.handle(hold.id, message)

    # Reads.

    async def get(self, hold: str) -> Hold:
        """Return a hold by its id. Raises: HoldUnknown, BadInput."""
        await self.load()
        return await self._find(hold)

    async def calls(self) -> tuple[CallView, ...]:
        """Return every live call: where it is, what it hears, whether it can be held. Raises: AccountError."""
        await self.load()
        return await self.overview.views()

    async def list(self, *, active_only: bool = False, limit: int = 1000) -> list[Hold]:
        """Return holds, newest first."""
        await self.load()
        return await self.hold_log.list(active_only=active_only, limit=limit)

    async def watch(self, *, after: int | None = None) -> AsyncIterator[HoldEvent]:
        """Yield every change of every hold as it happens; `after`: from the event after this id on."""
        await self.load()
        async for event in self.hold_log.watch(after=after):
            yield event

    async def check(self) -> None:
        """Check all held parties once, and apply the policy. Inside `async with` this happens by itself."""
        await self.load()
        await self._phone_holds.check()
        await self._reconciler.check()

    async def _find(self, hold: Hold | str, *, by: str | None = None, taken_over: bool = False) -> Hold:
        """Return a hold by itself, its id or its call; `taken_over`: also take over one of another service."""
        if isinstance(hold, Hold):
            return await self.hold_log.get(hold.id)
        if is_hold_id(hold):
            return await self.hold_log.get(HoldId(hold))
        if not is_call_sid(hold):
            raise BadInput(
                f"{hold[:60]!r} is neither a hold (HO…) nor a call (CA…)", fix="Each is two letters and 32 hex digits."
            )
        known = await self.hold_log.latest_of_call(CallSid(hold))
        if taken_over and (known is None or not known.active):
            try:
                async with self._executor.lock(CallSid(hold)):
                    known = await self._takeover.take_over(CallSid(hold), by=by) or known
            except AccountUnreachable:
                if known is None:
                    raise
        if known is None:
            raise BadInput(
                f"{hold} is not on hold, and never was as far as we know",
                fix="GET /calls lists who is, and GET /holds.",
            )
        return known

    # Running.

    async def load(self) -> None:
        """Load the holds and pairs of the store, once."""
        self._home_loop.check()
        if self._loaded:
            return
        async with self._loading:
            if not self._loaded:
                await self.hold_log.load()
                await self.pairs.load()
                self._loaded = True

    async def __aenter__(self) -> "Holds":
        self._home_loop.check()
        async with AsyncExitStack() as stack:
            await self.account.open()
            stack.push_async_callback(self.account.close)
            await self.load()
            group = await stack.enter_async_context(asyncio.TaskGroup())
            checks = group.create_task(self._reconciler.run(), name="holds: reconcile")
            stack.callback(checks.cancel)
            phones = group.create_task(self._phone_holds.run(), name="holds: phone holds")
            stack.callback(phones.cancel)
            stack.callback(self.hold_log.close)
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._home_loop.check()
        running, self._running = self._running, None
        if running is not None:
            # The caller sees the error that ended the block as it is, not as part of a group.
            await running.__aexit__(None, None, None)
            await self.hold_log.flush()
            self.hold_log.log_lost()
