"""Map the voice names of `<Say>` to the voices of this engine: a language, and man or woman.

Source: TwiML <Say>, attributes voice and language; the vendors' lists of voices.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

DEFAULT_LANGUAGE: Final = "en-US"

_POLLY: Final = {
    "arb": "Zeina",
    "ar-AE": "Hala Zayd*",
    "ca-ES": "Arlet",
    "cs-CZ": "Jitka",
    "cy-GB": "Gwyneth",
    "da-DK": "Naja Sofie Mads*",
    "de-AT": "Hannah",
    "de-CH": "Sabrina",
    "de-DE": "Marlene Vicki Hans* Daniel*",
    "en-AU": "Nicole Olivia Russell*",
    "en-GB": "Amy Emma Brian* Arthur*",
    "en-IE": "Niamh",
    "en-IN": "Aditi Raveena Kajal",
    "en-NZ": "Aria",
    "en-US": "Danielle Ivy Joanna Kendra Kimberly Ruth Salli Gregory* Joey* Justin* Kevin* Matthew* Stephen*",
    "en-ZA": "Ayanda",
    "es-ES": "Conchita Lucia Enrique* Sergio*",
    "es-MX": "Mia Andres*",
    "es-US": "Lupe Penelope Miguel* Pedro*",
    "fi-FI": "Suvi",
    "fr-BE": "Isabelle",
    "fr-CA": "Chantal Gabrielle Liam*",
    "fr-FR": "Celine Lea Mathieu* Remi*",
    "en-GB-WLS": "Geraint*",
    "hi-IN": "",
    "is-IS": "Dora Karl*",
    "it-IT": "Carla Bianca Giorgio* Adriano*",
    "ja-JP": "Mizuki Kazuha Tomoko Takumi*",
    "ko-KR": "Seoyeon Jihye",
    "nb-NO": "Liv Ida",
    "nl-BE": "Lisa",
    "nl-NL": "Lotte Laura Ruben*",
    "pl-PL": "Ewa Maja Ola Jacek* Jan*",
    "pt-BR": "Camila Vitoria Ricardo* Thiago*",
    "pt-PT": "Ines Cristiano*",
    "ro-RO": "Carmen",
    "ru-RU": "Tatyana Maxim*",
    "sv-SE": "Astrid Elin",
    "tr-TR": "Burcu Filiz",
    "yue-CN": "Hiujin",
    "cmn-CN": "Zhiyu",
}
"""Names by language; a star marks a man."""
LANGUAGES: Final = tuple(_POLLY)
"""The languages that at least one name speaks."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z", re.ASCII)
_GOOGLE = re.compile(r"Google\.([a-z]{2,3}-[A-Z0-9]{2,3})-[A-Za-z0-9]+-([A-Za-z0-9]+)\Z", re.ASCII)
_POLLY_NAME = re.compile(r"Polly\.([A-Z][a-z]+)(-Neural|-Generative|-Long-form)?\Z", re.ASCII)
_GOOGLE_MEN: Final = frozenset("BDIJ")
"""The letters of men in most of the vendor's English voices; other languages have no such rule."""

Gender = Literal["man", "woman"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechVoice:
    """A voice speaks a text. Shape: `language` is a BCP 47 tag."""

    language: str
    gender: Gender


def _by_name() -> dict[str, SpeechVoice]:
    return {
        name.rstrip("*"): SpeechVoice(language=language, gender="man" if name.endswith("*") else "woman")
        for language, names in _POLLY.items()
        for name in names.split()
    }


_POLLYS: Final = _by_name()
_PLAIN: Final[dict[str, Gender]] = {"": "man", "man": "man", "woman": "woman", "alice": "woman"}


def find_voice(name: str, language: str) -> tuple[SpeechVoice, tuple[str, ...]]:
    """Return the voice for the two attributes, and the warnings. The voice's own language is the default."""
    warnings: list[str] = []
    named = _named(name.strip())
    if named is None:
        warnings.append(f"voice={name[:40]!r} is no known voice; {DEFAULT_LANGUAGE} is spoken by a man")
        named = SpeechVoice(language=DEFAULT_LANGUAGE, gender="man")
    language = language.strip()
    if not language:
        return named, tuple(warnings)
    if not _LANGUAGE.match(language):
        warnings.append(f"language={language[:40]!r} is no language tag; {named.language} is used")
        return named, tuple(warnings)
    return SpeechVoice(language=language, gender=named.gender), tuple(warnings)


def _named(name: str) -> SpeechVoice | None:
    plain = _PLAIN.get(name.lower())
    if plain is not None:
        return SpeechVoice(language=DEFAULT_LANGUAGE, gender=plain)
    if (found := _POLLY_NAME.match(name)) is not None:
        return _POLLYS.get(found[1])
    if (found := _GOOGLE.match(name)) is not None:
        return SpeechVoice(language=found[1], gender="man" if found[2][-1:] in _GOOGLE_MEN else "woman")
    return None
