"""This module opens, finds and removes the private queues in which held parties wait."""

import logging

from holdfast.holds.errors import AccountError
from holdfast.holds.ids import CallSid, QueueSid
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.pair import queue_name

MAX_CLOSE_TRIES = 20

_log = logging.getLogger("holdfast.holds.legs")


class WaitQueues:
    """Wait queues are the queues of held calls, one each, on one account.

    A queue is removed after its hold. An account keeps a queue that a member is still leaving: it is tried again later.
    """

    def __init__(self, account: AccountPort, leftover: set[str]) -> None:
        self._account = account
        self._leftover = leftover
        """Names of queues that an earlier run may have opened: their SIDs were lost with it."""
        self._known: dict[str, QueueSid] = {}
        self._closing: dict[QueueSid, int] = {}
        """Queues that could not be removed yet, each with the number of tries."""

    def remember(self, call: CallSid, queue: QueueSid) -> None:
        """Record the SID of the queue of a call."""
        self._known[queue_name(call)] = queue

    async def holds(self, call: CallSid) -> bool:
        """Return whether the account shows this call in its queue."""
        name = queue_name(call)
        queue = self._known.get(name) or await self._account.find_queue(name)
        if queue is None:
            return False
        self._known[name] = queue
        return await self._account.is_queued(queue, call)

    async def exists(self, call: CallSid) -> bool:
        """Return whether the account has a queue of this call, empty or not."""
        return await self._account.find_queue(queue_name(call)) is not None

    async def open(self, name: str) -> None:
        """Ensure that the queue of this name exists."""
        if name not in self._known:
            queue = self._known[name] = await self._account.open_queue(name)
            self._closing.pop(queue, None)

    async def close(self, name: str) -> None:
        """Remove the queue of this name, now or at a later check."""
        if name in self._leftover:
            # This finds the queue, or opens one to be closed.
            self._leftover.remove(name)
            await self.open(name)
        queue = self._known.pop(name, None)
        if queue is not None:
            await self._close(queue, 1)

    async def retry(self) -> None:
        """Try again to remove the queues that could not be removed."""
        for queue, tries in tuple(self._closing.items()):
            await self._close(queue, tries + 1)

    async def _close(self, queue: QueueSid, tries: int) -> None:
        self._closing.pop(queue, None)
        try:
            await self._account.close_queue(queue)
        except AccountError as error:
            if tries < MAX_CLOSE_TRIES:
                self._closing[queue] = tries
            else:
                _log.warning("queue=%s fact=QueueNotClosed why=%s", queue, error.message)
