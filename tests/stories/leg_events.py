"""Stories told in short lines: every request to a web server in order, who is in which state, what each ear hears."""

from __future__ import annotations

from holdfast.testing.world import ACCOUNT, WebRequestSeen, World, twiml
from holdfast.voice.control.geography import geography_params
from holdfast.voice.model.commands import EndCall, Instruction, RedirectCall, WebRequest
from holdfast.voice.model.ids import CallSid

APP = "https://app.example"
EVENTS = ("initiated", "ringing", "answered", "completed")
IDENTITY = ("CallSid", "AccountSid", "From", "To", "ApiVersion", "Direction", "Caller", "Called", "ParentCallSid")
"""What says of which call a request is; checked against the call, and left out of the lines."""


class Told:
    """What web servers are told, as lines like `C POST /status completed SipResponseCode=200`, names for SIDs."""

    def __init__(self, world: World, **names: CallSid) -> None:
        self.world = world
        self.names = {sid: name for name, sid in names.items()}
        self.read = 0
        self.beeped = 0

    def name(self, **names: CallSid) -> None:
        """Give more calls a name."""
        self.names |= {sid: name for name, sid in names.items()}

    def __getitem__(self, name: str) -> CallSid:
        return next(sid for sid, named in self.names.items() if named == name)

    def news(self) -> list[str]:
        """The lines since this was last asked."""
        since, self.read = self.world.web[self.read :], len(self.world.web)
        return [self.line(asked) for asked in since]

    def line(self, asked: WebRequestSeen) -> str:
        """One request. Call requests are checked for the standard parameters, all of them and no others."""
        form = dict(asked.form)
        if asked.kind == "conference":
            return self._of_conference(asked)
        call = self.world.state.calls[CallSid(form["CallSid"])]
        assert {name: form.pop(name) for name in IDENTITY if name in form} == {
            "CallSid": call.sid,
            "AccountSid": ACCOUNT,
            "From": call.from_,
            "To": call.to,
            "ApiVersion": "2010-04-01",
            "Direction": call.direction,
            "Caller": call.from_,
            "Called": call.to,
        } | ({} if call.parent is None else {"ParentCallSid": call.parent})
        for name, place in geography_params(call.from_, call.to):
            assert form.pop(name) == place
        if asked.kind == "call":
            assert form.pop("CallbackSource") == "call-progress-events"
            assert form.pop("Timestamp").endswith(" +0000")
            form.pop("SequenceNumber")
        status = form.pop("CallStatus")
        return self._line(self.names.get(call.sid, call.sid), asked, status, form)

    def _of_conference(self, asked: WebRequestSeen) -> str:
        form = dict(asked.form)
        assert form.pop("AccountSid") == ACCOUNT
        assert form.pop("Timestamp").endswith(" +0000")
        number, event = form.pop("SequenceNumber"), form.pop("StatusCallbackEvent")
        form.pop("ConferenceSid")
        form.pop("FriendlyName")
        about = self.names.get(CallSid(form.pop("CallSid", "")), "")
        return self._line(about, asked, f"{number} {event}", form).strip()

    def _line(self, about: str, asked: WebRequestSeen, word: str, form: dict[str, str]) -> str:
        path = asked.url.removeprefix(APP)
        rest = "".join(f" {name}={self._short(value)}" for name, value in form.items())
        return f"{about} {asked.method} {path} {word}{rest}"

    def _short(self, value: str) -> str:
        if (named := self.names.get(CallSid(value))) is not None:
            return named
        return value[:2] if value[:2] in ("QU", "CF") and len(value) == 34 else value.removeprefix(APP)

    def hears(self) -> dict[str, str]:
        """What each named ear hears: names of others, the path of a sound, `silence`, or `nothing` once gone.

        `X rings`: ringing in place of what the phone of X sends.
        """
        heard = {}
        for sid, name in self.names.items():
            ear = self.world.heard_by(sid)
            if isinstance(ear, frozenset):
                heard[name] = "+".join(sorted(self.names[other] + self._ringing(other) for other in ear))
            else:
                heard[name] = str(ear).removeprefix("clip:").removeprefix(APP)
        self.world.check()
        return heard

    def _ringing(self, other: CallSid) -> str:
        if not self.world.seats[other][1].rings:
            return ""
        assert self.world.playing[other][1] == "builtin:ringback"
        return " rings"

    def beeps(self) -> list[str]:
        """The tones since this was last asked, each with those who hear it: `entry A B`."""
        since, self.beeped = self.world.beeps[self.beeped :], len(self.world.beeps)
        return [" ".join([beep.tone, *sorted(self.names[ear] for ear in beep.listeners)]) for beep in since]

    def statuses(self) -> dict[str, str]:
        """The status of each named call."""
        return {name: self.world.call(sid).status.value for sid, name in self.names.items()}

    def stands(self) -> dict[str, str]:
        """Each named call's status and what its ear hears, as `in-progress hears /music.mp3`."""
        hears = self.hears()
        return {name: f"{status} hears {hears[name]}" for name, status in self.statuses().items()}


def redirect(world: World, call: CallSid, path: str) -> None:
    """A REST request gives this call another document."""
    world.post(RedirectCall(call=call, instruction=Instruction(request=WebRequest(url=f"{APP}{path}"))))


def end(world: World, call: CallSid) -> None:
    """A REST request ends this call."""
    world.post(EndCall(call=call))


def pages(world: World, **verbs: str) -> None:
    """Documents at `/name`, given as the verbs inside."""
    world.pages |= {f"{APP}/{name}": twiml(inside) for name, inside in verbs.items()}
