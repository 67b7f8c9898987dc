"""What a call's own player does, and what went wrong, read from its journal."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from holdfast.voice.model.ports import JournalEntry

BUILTIN_MUSIC = {
    "builtin:hold": "the built-in hold music",
    "builtin:music": "the built-in music",
    "builtin:ringback": "ringing",
    "builtin:beep": "a beep",
}
MAX_FAILURES = 3
MAX_TEXT = 60
"""How many characters of a spoken text are shown."""
_MARK = re.compile(r"<[^>]*>")
_OUR_PARAMETERS = re.compile(r"[?&]CallSid=\S*?(?=:?(?:\s|$))")
"""What we add to the URL of a document asked for by GET."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerAccount:
    """The newest sound of a call's player. `source` "" when it never played; `why` tells of a failure.

    `until` is what is played until the sound is there; `url` where a sound that was answered in a document's place
    came from.
    """

    source: str = ""
    url: str = ""
    token: str = ""
    state: Literal["never", "asked", "ended", "stopped", "failed"] = "never"
    why: str = ""
    until: str = ""

    def describe(self) -> str:
        """What an ear that hears its own player hears, in words."""
        name = self.url or _named(self.source)
        match self.state:
            case "asked":
                if not self.source.startswith(("http://", "https://")):
                    return f"{name}, played to it alone"
                return f"{name}, played to it alone ({_named(self.until) or 'silence'} until that is fetched)"
            case "ended":
                return f"silence: {name} came to its end and nothing followed"
            case "failed":
                return f"silence: {name} could not be played ({self.why})"
            case "stopped" | "never":
                return "silence: nothing is played to it"
            case _:
                assert_never(self.state)


def _named(source: str) -> str:
    if source.startswith("leg:"):
        return f"what the phone of {source.removeprefix('leg:')} sends before it answers"
    if source.startswith("ringing:"):
        return "ringing"
    if source.startswith("digits:"):
        return f"the keys {source.removeprefix('digits:')}"
    if source.startswith("say:"):
        words = _MARK.sub("", source.split(":", 3)[-1])
        return f"the spoken text {words if len(words) <= MAX_TEXT else words[:MAX_TEXT] + '…'!r}"
    return BUILTIN_MUSIC.get(source, source.removeprefix("clip:"))


def without_parameters(text: str) -> str:
    """A text with the URLs in it as their owner wrote them: without the parameters that we add to a GET."""
    return _OUR_PARAMETERS.sub("", text)


def newest_sound(entries: Sequence[JournalEntry]) -> PlayerAccount:
    """The player as the journal leaves it. A sound that takes another's place meanwhile counts as the newest."""
    now = PlayerAccount()
    urls: dict[str, str] = {}
    for entry in entries:
        match entry.kind:
            case "DocumentFetched":
                data = json.loads(entry.data)
                if data.get("clip"):
                    urls[f"clip:{data['clip']}"] = without_parameters(data["url"])
            case "PlaySound":
                data = json.loads(entry.data)
                if data.get("while_loading") is not None:
                    if data["while_loading"] == now.token and now.state == "asked":
                        now = replace(now, until=data["source"])
                    continue
                source = data["source"]
                now = PlayerAccount(source=source, url=urls.get(source, ""), token=data["token"], state="asked")
            case "StopSound" | "SoundEnded" | "SoundFailed":
                data = json.loads(entry.data)
                if data["token"] != now.token:
                    continue
                why = f"{data['code']}: {data['message']}" if entry.kind == "SoundFailed" else ""
                state: Literal["stopped", "ended", "failed"] = (
                    "failed" if why else "ended" if entry.kind == "SoundEnded" else "stopped"
                )
                now = replace(now, state=state, why=why)
            case _:
                pass
    return now


def recent_failures(entries: Sequence[JournalEntry]) -> list[str]:
    """The newest notes and failures of a call, oldest first, each once."""
    found: dict[str, None] = {}
    for entry in entries:
        if entry.kind not in ("LogNotification", "DocumentFetchFailed", "SoundFailed"):
            continue
        data = json.loads(entry.data)
        level = "warning " if entry.kind == "LogNotification" and data["log"] == 1 else "error "
        told = f"{level}{data['code']}: {without_parameters(data['message'])}"
        found.pop(told, None)
        found[told] = None
    return list(found)[-MAX_FAILURES:]
