"""The control socket serves one control at a time over a local socket; a newer control replaces an older one."""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.control_link.packing import Unpacker, pack, parse_request
from holdfast.voice.media_process.errors import MediaMessageUnreadable
from holdfast.voice.model.errors import VoiceError

_READ_BYTES = 1 << 16
_READS = 4
"""Pieces read at a time: a quarter of a megabyte, so that a large clip does not delay a tick."""
_UNSENT_LIMIT = 8_000_000
"""Bytes that a control may leave unread before it is disconnected."""
_MESSAGES_PER_SEND = 64
"""Messages given to the system in one call."""


class ControlSocketTaken(VoiceError):
    """The path is not a socket, is too long for one, or another media process answers there."""


class ControlSocket:
    """The control socket is the listening socket and the connected control.

    Facts wait in the queue while no control is connected.
    """

    def __init__(self, path: Path, facts: FactQueue) -> None:
        self._path = path
        self._facts = facts
        self._listener = _listen(path)
        self._control: socket.socket | None = None
        self._unpacker = Unpacker()
        self._unsent: deque[tuple[memoryview, m.Fact | None]] = deque()
        """What is left to send of each message, and its fact if it is not a reply."""
        self._unsent_bytes = 0

    @property
    def listener(self) -> int:
        """The descriptor that is readable when a control connects."""
        return self._listener.fileno()

    @property
    def control(self) -> int | None:
        """The descriptor that is readable when control sends requests; None without a control."""
        return None if self._control is None else self._control.fileno()

    def accept(self, greeting: Callable[[], m.ControlAttached]) -> bool:
        """Accept a control and greet it; return False if it was gone before."""
        try:
            control, _ = self._listener.accept()
        except OSError:
            return False
        self.disconnect()
        control.setblocking(False)
        self._control = control
        self.reply(greeting())
        return True

    def disconnect(self) -> None:
        """Disconnect the control; facts that it did not receive completely are kept for the next one."""
        if self._control is not None:
            self._control.close()
            self._control = None
        while self._unsent:
            _, fact = self._unsent.pop()
            if fact is not None:
                self._facts.put_back(fact)
        self._unsent_bytes = 0
        self._unpacker = Unpacker()

    def read_requests(self) -> list[tuple[m.Command | m.Request, bytes]]:
        """Read the requests of control, each with its audio.

        A control that ends the connection, or sends an invalid message, is disconnected.
        """
        requests: list[tuple[m.Command | m.Request, bytes]] = []
        for _ in range(_READS):
            if self._control is None:
                break
            try:
                data = self._control.recv(_READ_BYTES)
                requests += [(parse_request(text), audio) for text, audio in self._unpacker.feed(data)]
            except BlockingIOError:
                break
            except (OSError, MediaMessageUnreadable):
                self.disconnect()
                break
            if not data:
                self.disconnect()
        return requests

    def reply(self, answer: m.ServerMessage) -> None:
        """Queue a message to control; it leaves with the next `flush`."""
        if self._control is None:
            return
        self._add(answer, None)
        if self._unsent_bytes > _UNSENT_LIMIT:
            self.disconnect()

    def flush(self) -> None:
        """Send replies and facts, as many as control takes now."""
        while self._control is not None:
            while len(self._unsent) < _MESSAGES_PER_SEND and (fact := self._facts.pop()) is not None:
                self._add(fact, fact)
            if not self._unsent:
                return
            try:
                sent = self._control.sendmsg([data for data, _ in islice(self._unsent, _MESSAGES_PER_SEND)])
            except BlockingIOError:
                return
            except OSError:
                self.disconnect()
                return
            self._remove_sent(sent)

    def _add(self, message: m.ServerMessage, fact: m.Fact | None) -> None:
        data = memoryview(pack(message))
        self._unsent.append((data, fact))
        self._unsent_bytes += len(data)

    def _remove_sent(self, sent: int) -> None:
        """Remove this many bytes, which control has received."""
        self._unsent_bytes -= sent
        while sent:
            data, fact = self._unsent.popleft()
            if sent < len(data):
                self._unsent.appendleft((data[sent:], fact))
                return
            sent -= len(data)

    def close(self) -> None:
        """Disconnect control, close the listening socket and remove its path."""
        self.disconnect()
        self._listener.close()
        self._path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
    """Return a listening socket that only this user can reach. The path that a dead process left is removed.

    Raises: ControlSocketTaken.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ControlSocketTaken(
                f"{path} is taken: another media process answers there, or it is a file"
            ) from error
        raise ControlSocketTaken(f"{path}: {error}") from error
    finally:
        os.umask(mask)
    listener.listen(4)
    listener.setblocking(False)
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(path)) == 0
