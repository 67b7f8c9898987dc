"""Verbs that make a sound: `<Play>` and `<Say>`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from holdfast.voice.model.effects import LogNotification, PlaySound, StartTimer
from holdfast.voice.model.facts import SoundEnded, SoundFailed, TimerFired
from holdfast.voice.twiml.reading import Reader
from holdfast.voice.twiml.verb import Answer, Continue, Desk, Failed, Run, Verb, until

DIGITS = frozenset("0123456789ABCDabcd*#wW")
CHARACTERS_PER_SECOND = 15
"""How fast a text is spoken, for the pause that stands in for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play(Verb):
    """Play a sound file, or touch tones, from the beginning.

    Units: `rounds`, 0 means until hang-up or 1,000 rounds. Source: TwiML <Play>.
    """

    name: ClassVar[str] = "Play"
    source: str
    rounds: int = 1

    @classmethod
    def parse(cls, reader: Reader) -> Play | None:
        reader.codes = {"loop": 13410}
        rounds = reader.integer("loop", 1, low=0, high=1000)
        digits, url = reader.text("digits").strip(), reader.node.text.strip()
        if digits and not url:
            if len(digits) > 200 or not set(digits) <= DIGITS:
                reader.warn(f"digits={digits[:40]!r} holds more than 0-9 A-D * # w W")
                return None
            return cls(source=f"digits:{digits}", rounds=rounds)
        if not url:
            reader.warn("there is nothing to play: no URL and no digits")
            return None
        if url.startswith(("builtin:", "clip:")):
            return cls(source=url, rounds=rounds)
        return cls(source=reader.url(url), rounds=rounds)

    def run(self, desk: Desk) -> Run:
        yield Answer()
        sound = desk.token()
        yield PlaySound(token=sound, source=self.source, rounds=self.rounds)
        fact = yield from until(SoundEnded, SoundFailed, token=sound)
        if isinstance(fact, SoundFailed):
            return Failed(code=fact.code, message=fact.message)
        return Continue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Verb):
    """Speak a text.

    Deviation: no voice is installed, so the text is a warning and a silence of the length it would take.
    Source: TwiML <Say>.
    """

    name: ClassVar[str] = "Say"
    text: str
    rounds: int = 1

    @classmethod
    def parse(cls, reader: Reader) -> Say | None:
        reader.code, reader.codes = 13520, {"loop": 13510, "voice": 13511}
        for known in ("voice", "language"):
            reader.text(known)
        rounds = reader.integer("loop", 1, low=0, high=1000)
        text = " ".join(_spoken(reader).split())
        if len(text) > 4096:
            reader.warn("the text is longer than 4096 characters and is cut")
        return cls(text=text[:4096], rounds=rounds)

    def run(self, desk: Desk) -> Run:
        if not self.text:
            return Continue()
        yield Answer()
        message = "this engine has no voice: the text is a pause of its length"
        yield LogNotification(call=desk.call, code=13520, log=1, message=message)
        timer = desk.token()
        yield StartTimer(token=timer, after_s=max(1.0, len(self.text) / CHARACTERS_PER_SECOND) * (self.rounds or 1000))
        yield from until(TimerFired, token=timer)
        return Continue()


def _spoken(reader: Reader) -> str:
    """The text of a `<Say>` with that of its SSML children."""
    pieces = [reader.node.text]
    waiting = list(reader.node.children)
    while waiting:
        node = waiting.pop(0)
        pieces.append(node.text)
        waiting[:0] = node.children
    return " ".join(pieces)
