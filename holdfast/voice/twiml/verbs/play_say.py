"""Run the verbs that play audio: `<Play>` and `<Say>`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from xml.sax.saxutils import escape

from holdfast.voice.model.commands import Role
from holdfast.voice.model.effects import PlaySound
from holdfast.voice.model.facts import Fact, SoundEnded, SoundFailed
from holdfast.voice.twiml.attributes import AttributeReader
from holdfast.voice.twiml.ssml import markup
from holdfast.voice.twiml.verb import AUDIO_DOCUMENTS, AnswerCaller, Continue, Failed, Run, Verb, VerbContext, until
from holdfast.voice.twiml.voices import SpeechVoice, find_voice

PLAYABLE_DIGITS = frozenset("0123456789ABCDabcd*#wW")
MAX_TEXT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Play(Verb):
    """This verb plays an audio file, or touch tones, from the beginning.

    Units: `rounds`, 0 means until hang-up or 1,000 rounds. Source: TwiML <Play>.
    """

    name: ClassVar[str] = "Play"
    roles: ClassVar[frozenset[Role]] = AUDIO_DOCUMENTS
    hears: ClassVar[tuple[type[Fact], ...]] = (SoundEnded, SoundFailed)
    source: str
    rounds: int = 1

    @classmethod
    def parse(cls, reader: AttributeReader) -> Play | None:
        reader.codes = {"loop": 13410}
        rounds = reader.integer("loop", 1, low=0, high=1000)
        digits, url = reader.text("digits").strip(), reader.node.text.strip()
        if digits and not url:
            if len(digits) > 200 or not set(digits) <= PLAYABLE_DIGITS:
                reader.warn(f"digits={digits[:40]!r} contains more than 0-9 A-D * # w W")
                return None
            return cls(source=f"digits:{digits}", rounds=rounds)
        if not url:
            reader.warn("there is nothing to play: no URL and no digits")
            return None
        if url.startswith(("builtin:", "clip:")):
            return cls(source=url, rounds=rounds)
        return cls(source=reader.url(url), rounds=rounds)

    def run(self, context: VerbContext) -> Run:
        yield AnswerCaller()
        sound = context.token()
        yield PlaySound(token=sound, source=self.source, rounds=self.rounds)
        fact = yield from until(SoundEnded, SoundFailed, token=sound)
        if isinstance(fact, SoundFailed):
            return Failed(code=fact.code, message=fact.message)
        return Continue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Verb):
    """This verb speaks a text. The sound cache chooses the voice; without any voice it is a pause of the text's length.

    Shape: `ssml` is the text with its SSML. Units: `rounds`, 0 means until hang-up or 1,000 rounds.
    Source: TwiML <Say>.
    """

    name: ClassVar[str] = "Say"
    roles: ClassVar[frozenset[Role]] = AUDIO_DOCUMENTS
    has_children: ClassVar[bool] = True
    hears: ClassVar[tuple[type[Fact], ...]] = (SoundEnded, SoundFailed)
    text: str
    ssml: str
    voice: SpeechVoice
    rounds: int = 1

    @classmethod
    def parse(cls, reader: AttributeReader) -> Say | None:
        reader.code, reader.codes = 13520, {"loop": 13510, "voice": 13511}
        voice, warnings = find_voice(reader.text("voice"), reader.text("language"))
        for message in warnings:
            reader.warn(message, code=13512 if message.startswith("language") else 13511)
        rounds = reader.integer("loop", 1, low=0, high=1000)
        text, ssml, warnings = markup(reader.node)
        for message in warnings:
            reader.warn(message)
        if len(text) > MAX_TEXT:
            reader.warn(f"the text is longer than {MAX_TEXT} characters and is cut", code=13521)
            text = text[:MAX_TEXT]
            ssml = escape(text)
        return cls(text=text, ssml=ssml, voice=voice, rounds=rounds)

    @property
    def source(self) -> str:
        """Return the source of the sound to be played."""
        return f"say:{self.voice.language}:{self.voice.gender}:{self.ssml}"

    def run(self, context: VerbContext) -> Run:
        if not self.text:
            return Continue()
        yield AnswerCaller()
        sound = context.token()
        yield PlaySound(token=sound, source=self.source, rounds=self.rounds)
        fact = yield from until(SoundEnded, SoundFailed, token=sound)
        if isinstance(fact, SoundFailed):
            return Failed(code=fact.code, message=fact.message)
        return Continue()
