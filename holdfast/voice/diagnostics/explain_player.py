"""Read from a call's journal what its own player does, and what failed."""

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
WARNING = "warning "
"""The beginning of a notification that is a warning; any other is an error."""
MAX_TEXT = 60
"""The number of characters of a spoken text that are shown."""
_MARK = re.compile(r"<[^>]*>")
_OUR_PARAMETERS = re.compile(r"[?&]CallSid=\S*?(?=:?(?:\s|$))")
"""The parameters that we add to the URL of a document requested by GET."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerAccount:
    """The newest sound of a call's player. `source` is "" when it never played; `why` is the reason of a failure.

    `until` is played until the sound is loaded; `url` is the address of audio that was fetched in place of a document.
    """

    source: str = ""
    url: str = ""
    token: str = ""
    state: Literal["never", "asked", "ended", "stopped", "failed"] = "never"
    why: str = ""
    until: str = ""

    def describe(self) -> str:
        """Describe in words what a party hears from this player."""
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
        return f"the digits {source.removeprefix('digits:')}"
    if source.startswith("say:"):
        words = _MARK.sub("", source.split(":", 3)[-1])
        return f"the spoken text {words if len(words) <= MAX_TEXT else words[:MAX_TEXT] + '…'!r}"
    return BUILTIN_MUSIC.get(source, source.removeprefix("clip:"))


def without_parameters(text: str) -> str:
    """Return a text whose URLs stand as their owner wrote them: without the parameters that we add to a GET."""
    return _OUR_PARAMETERS.sub("", text)


def newest_sound(entries: Sequence[JournalEntry]) -> PlayerAccount:
    """Return the player's newest sound at the end of the journal; music until it is loaded does not count."""
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
    """Return the newest notifications and failures of a call, oldest first, each once."""
    found: dict[str, None] = {}
    for entry in entries:
        if entry.kind not in ("LogNotification", "DocumentFetchFailed", "SoundFailed"):
            continue
        data = json.loads(entry.data)
        level = WARNING if entry.kind == "LogNotification" and data["log"] == 1 else "error "
        text = f"{level}{data['code']}: {without_parameters(data['message'])}"
        found.pop(text, None)
        found[text] = None
    return list(found)[-MAX_FAILURES:]
