"""The holds service: hold a live call, resume it, list and watch holds, on any account that speaks Twilio's voice API.

async with Holds(Account.engine()) as holds:
    hold = await holds.hold(call)
    await holds.resume(hold)
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from enum import StrEnum
from types import TracebackType

from holdfast.holds.call_overview import CallOverview, CallView
from holdfast.holds.clock import SystemClock
from holdfast.holds.concurrency.home_loop import HomeLoop
from holdfast.holds.concurrency.keyed_locks import KeyedLocks
from holdfast.holds.conference.executor import ConferenceExecutor
from holdfast.holds.errors import AccountUnreachable, BadInput, HoldRefused, HoldsError, NotAllowed
from holdfast.holds.execution.hold_executor import HoldExecutor
from holdfast.holds.execution.takeover import Takeover
from holdfast.holds.execution.way_selection import WaySelector
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.hold import CallOver, Fail, Hold, HoldEnded, Message, MusicFailed, Status, WayName, ask
from holdfast.holds.ids import CallSid, HoldId, is_call_sid, is_hold_id
from holdfast.holds.legs.continuation import Continued
from holdfast.holds.legs.executor import LegsExecutor
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.legs.planner import gone
from holdfast.holds.phone_holds import PhoneHolds
from holdfast.holds.policy import Policy, why_not_hold, why_not_resume
from holdfast.holds.ports import AccountPort, ClockPort, HoldEvent, HoldStore
from holdfast.holds.reconciler import Reconciler, other_left
from holdfast.holds.steps.account_steps import ContinueDocument
from holdfast.holds.steps.documents import Documents, checked_url
from holdfast.holds.steps.pair import Pair, join, onward
from holdfast.holds.timeouts import Timeouts
from holdfast.holds.validation import call_sid, check_hold, check_words


class Legs(StrEnum):
    """What is done with a call of two independent legs."""

    QUEUE = "queue"
    CONVERT = "convert"
    """Move both into a conference at the first hold."""


class Holds:
    """Holds on one account.

    `public_url`: where the account reaches our web door (`holdfast.holds.web.app`); None: there is none, and only
    conferences can be held. Use it as `async with Holds(…) as holds`: then connections are kept open, and limits,
    owners and parties that left are looked after. Without it each call of a method still works by itself.

    A service lives in the event loop of its first use; from any other each method raises `WrongEventLoop` at once.
    """

    def __init__(
        self,
        account: AccountPort,
        *,
        store: HoldStore | None = None,
        public_url: str | None = None,
        policy: Policy | None = None,
        legs: Legs | str = Legs.QUEUE,
        patience: Timeouts | None = None,
        clock: ClockPort | None = None,
        new_id: Callable[[], HoldId] | None = None,
    ) -> None:
        if public_url is not None:
            checked_url("public_url", public_url)
        self.account = account
        self.policy = policy or Policy()
        self.public_url = public_url
        clock, patience, store = clock or SystemClock(), patience or Timeouts(), store or MemoryStore()
        self.documents = None if public_url is None else Documents(public_url, self.policy)
        usable = self.documents if public_url is not None and account.can_reach(public_url) else None
        self._new_id = new_id or _new_id
        self._lanes = KeyedLocks()
        self.ledger = HoldLog(store, clock)
        self.pairs = PairIndex(store)
        self.legs = None if usable is None else LegsExecutor(account, clock, patience, usable, self.pairs)
        self.conferences = ConferenceExecutor(account, clock, patience, usable)
        self._choice = WaySelector(
            account,
            self.conferences,
            self.legs,
            self.pairs,
            convert=Legs(legs) is Legs.CONVERT,
            continue_url=None if usable is None else usable.continue_url(),
        )
        self._work = HoldExecutor(
            account, self.ledger, self.pairs, self._lanes, self.conferences, self.legs, self._choice
        )
        self._takeover = Takeover(account, self.conferences, self.legs, self.pairs)
        self.overview = CallOverview(
            account,
            self.ledger,
            self.pairs,
            continue_url=None if usable is None else usable.continue_url(),
        )
        self._by_phone = PhoneHolds(account, self.ledger, clock, every_s=patience.phones_every_s, new_id=self._new_id)
        self._watchman = Reconciler(self._work, self.ledger, self.policy, clock, patience)
        self._home = HomeLoop()
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
        """Put a live call on hold, and return once its party hears its hold sound.

        `by` names the owner: a person, or the SID of the owner's own call. `music` is the URL of an audio file,
        looped where the account can fetch our document, or else played once, with silence after it; or of a TwiML
        document of Say, Play, Pause and Redirect. Without music the account's own is heard.
        Holding a call that is on hold already gives that same hold and changes nothing.

        Raises: CallNotLive; HoldRefused, before anything was touched, with the line that would make it work;
        NotAllowed; BadInput; HoldFailed; AccountUnreachable; OutcomeUnknown, when the account stopped answering in
        the middle: the hold stays open and is settled when it answers again.
        """
        self._home.enter()
        sid = call_sid(call)
        check_hold(by=by, music=music, reason=reason, limit_s=limit_s)
        denied = why_not_hold(self.policy, by)
        if denied is not None:
            raise NotAllowed(denied)
        await self.load()
        await self._choice.introduce(sid)
        async with self._work.lane(sid):
            going_on = self.ledger.of_call(sid)
            if going_on is not None:
                try:
                    going_on = await self._work.settle(going_on)
                except AccountUnreachable:
                    # What we know is all there is to say.
                    return going_on
                if going_on.active:
                    return going_on
            opened = await self.ledger.ask(self._new_id(), sid, by=by, reason=reason, music=music, limit_s=limit_s)
            return await self._work.begin(opened)

    async def resume(self, hold: Hold | str, *, by: str | None = None) -> Hold:
        """Bring a held party back, and return once it hears the others again.

        Takes a hold, a hold's id, or the SID of a held call. The outcome is the hold that comes back: `resumed`, or
        `call-ended` when the party had hung up. Resuming what has ended already gives that same outcome.

        A call that another service holds, or an earlier run that kept no store, is taken over and brought back: what
        the account shows is enough in a conference; by two legs this needs a `public_url`, and the parent hangs up at
        the end of the conversation, since where it was to go on is not shown.

        Raises: HoldUnknown; NotAllowed; HoldFailed when the account did not bring the party back: it is held as
        before; HoldRefused, before anything was touched, when a hold cannot be taken over; OutcomeUnknown; BadInput.
        """
        self._home.enter()
        check_words(by=by)
        await self.load()
        current = await self._find(hold, by=by, taken_over=True)
        if current.way is WayName.PHONE and current.active:
            raise HoldRefused(
                "the party's own phone holds, and only it can take the call back",
                fix="Ask the party to press Hold again; a hold of ours on the same call is a hold of its own.",
                hold=current.id,
            )
        async with self._work.lane(current.call):
            current = await self.ledger.get(current.id)
            if not current.active:
                return current
            denied = why_not_resume(self.policy, current, by)
            if denied is not None:
                raise NotAllowed(denied, hold=current.id)
            if current.status is not Status.HELD:
                current = await self._work.settle(current)
                if not current.active:
                    return current
            return await self._work.bring_back(current, by=by, why=None)

    async def _take_over(self, call: CallSid, by: str | None) -> Hold | None:
        """The hold of another service, as ours from now on; None when the account shows none. Raises as `resume`."""
        async with self._work.lane(call):
            going_on = self.ledger.of_call(call)
            if going_on is not None:
                return going_on
            shown = await self._takeover.look(call)
            if shown is None:
                return None
            nobodys, _ = ask(id=HoldId(""), call=call, now=0.0)
            denied = why_not_resume(self.policy, nobodys, by)
            if denied is not None:
                raise NotAllowed(denied)
            hold = await self.ledger.ask(self._new_id(), call, by=None, reason=None, music=None, limit_s=None)
            await self.ledger.tell(hold.id, shown.begin)
            try:
                confirmed = await self._takeover.make_ours(call, shown)
            except HoldsError as error:
                await self.ledger.tell(hold.id, Fail(why=error.message))
                error.hold = hold.id
                raise
            hold, _ = await self.ledger.tell(hold.id, confirmed)
            return hold

    # Pairs of independent legs.

    async def adopt(self, parent: str, child: str | None = None, *, after: str | None = None) -> Pair:
        """Say that the continuation of this call's `<Dial>` is ours, so that both legs can be held.

        For applications that put `action="{holds.continue_url}"` on their own Dial, or a `<Redirect>` to it after
        the Dial. `after` is where the parent goes on when the conversation is over. Adopting twice changes nothing.

        Raises: CallNotLive; HoldRefused when these are no parent and child; BadInput; AccountUnreachable.
        """
        self._home.enter()
        if after is not None:
            checked_url("after", after)
        parent_sid = call_sid(parent)
        child_sid = None if child is None else call_sid(child)
        await self.load()
        async with self._work.lane(parent_sid):
            return await self._choice.adopt(parent_sid, child_sid, after)

    @property
    def continue_url(self) -> str:
        """What an application puts as `action` on its own `<Dial>`. Raises: BadInput without a public_url."""
        if self.documents is None:
            raise BadInput("there is no address of ours: Holds(…, public_url=…) was not given")
        return self.documents.continue_url()

    async def introduce(self, parent: CallSid, child: CallSid, *, after: str | None) -> None:
        """Take note of the child of a Dial we served, once it has answered."""
        self._home.enter()
        if after is not None:
            checked_url("after", after)
        if self.legs is not None and self.pairs.of(parent) is None and self.pairs.of(child) is None:
            await self.pairs.put(join(parent=parent, child=child, after=after))

    async def follow(self, call: CallSid, result: Continued) -> None:
        """Do what follows from a continuation that was answered: let the other go on, end the holds it ended."""
        self._home.enter()
        if self.legs is None:
            return
        async with self._lanes.lane(result.pair.parent.call):
            await self.legs.follow(call, result)
            held = self.ledger.of_call(call)
            if held is not None and result.music_failed is not None:
                why = f"{result.music_failed} cannot be heard; the account's own music takes its place"
                await self.ledger.tell(held.id, MusicFailed(why=why))
            await self._tell_ends(result.pair, gone=result.gone)

    async def ended(self, call: CallSid) -> None:
        """Act on word that this call is over."""
        self._home.enter()
        pair = self.pairs.of(call)
        if self.legs is None or pair is None:
            return
        async with self._lanes.lane(pair.parent.call):
            pair = self.pairs.of(call)
            if pair is not None:
                await self.legs.gone(call)
                await self._tell_ends(gone(pair, call).pair, gone=call)

    async def all_ended(self, *, why: str) -> None:
        """End every hold that goes on, because every call of the account is over: its engine was stopped.

        Work that is under way is not waited for: what it finds out after this changes nothing.
        """
        self._home.enter()
        await self.load()
        for hold in self.ledger.active():
            await self.ledger.tell(hold.id, CallOver(why=why))
        for pair in self.pairs.all():
            await self.pairs.forget(pair)

    async def _tell_ends(self, pair: Pair, *, gone: CallSid | None) -> None:
        """End the holds of a pair that is over, or together again."""
        for party in (pair.parent, pair.child):
            hold = self.ledger.of_call(party.call)
            if hold is None or hold.status is not Status.HELD:
                continue
            if party.call == gone:
                message: Message = CallOver(why="the party hung up")
            elif pair.over:
                message = other_left(goes_on=isinstance(onward(pair, party.call), ContinueDocument))
            elif not party.held:
                message = HoldEnded(why="the account let the call wait no longer; both parties are together again")
            else:
                continue
            await self.ledger.tell(hold.id, message)

    # Looking.

    async def get(self, hold: str) -> Hold:
        """A hold by its id. Raises: HoldUnknown, BadInput."""
        await self.load()
        return await self._find(hold)

    async def calls(self) -> tuple[CallView, ...]:
        """Every live call: where it is, what it hears, whether it can be held. Raises: AccountTrouble."""
        await self.load()
        return await self.overview.views()

    async def list(self, *, active_only: bool = False, limit: int = 1000) -> list[Hold]:
        """Holds, newest first."""
        await self.load()
        return await self.ledger.list(active_only=active_only, limit=limit)

    async def watch(self, *, after: int | None = None) -> AsyncIterator[HoldEvent]:
        """Every change of every hold as it happens; `after`: from the event after this id on."""
        await self.load()
        async for event in self.ledger.watch(after=after):
            yield event

    async def check(self) -> None:
        """Look once at everything that is held, and do what the policy wants done.

        Happens by itself, every few seconds, inside `async with`.
        """
        await self.load()
        await self._by_phone.look()
        await self._watchman.look()

    async def _find(self, hold: Hold | str, *, by: str | None = None, taken_over: bool = False) -> Hold:
        """A hold by itself, its id or its call; `taken_over`: also one of another service, for whoever asks."""
        if isinstance(hold, Hold):
            return await self.ledger.get(hold.id)
        if is_hold_id(hold):
            return await self.ledger.get(HoldId(hold))
        if not is_call_sid(hold):
            raise BadInput(
                f"{hold[:60]!r} is neither a hold (HO…) nor a call (CA…)", fix="Each is two letters and 32 hex digits."
            )
        known = await self.ledger.last_of(CallSid(hold))
        if taken_over and (known is None or not known.active):
            try:
                known = await self._take_over(CallSid(hold), by) or known
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
        """Take over what the store knows, once."""
        self._home.enter()
        if self._loaded:
            return
        async with self._loading:
            if not self._loaded:
                await self.ledger.load()
                await self.pairs.load()
                self._loaded = True

    async def __aenter__(self) -> "Holds":
        self._home.enter()
        async with AsyncExitStack() as stack:
            await self.account.open()
            stack.push_async_callback(self.account.close)
            await self.load()
            group = await stack.enter_async_context(asyncio.TaskGroup())
            looking = group.create_task(self._watchman.run(), name="holds: look after what is held")
            stack.callback(looking.cancel)
            phones = group.create_task(self._by_phone.run(), name="holds: look at phones that hold")
            stack.callback(phones.cancel)
            stack.callback(self.ledger.close)
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._home.enter()
        running, self._running = self._running, None
        if running is not None:
            # Whatever ended the block is the caller's to see as it is, not as part of a group.
            await running.__aexit__(None, None, None)
            await self.ledger.catch_up()
            self.ledger.tell_what_is_lost()


def _new_id() -> HoldId:
    return HoldId("HO" + secrets.token_hex(16))
