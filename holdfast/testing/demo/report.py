"""Write the results of the demo into its folder: a stereo recording per act, one picture, and the figures as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from holdfast.testing.audio.ears import stream
from holdfast.testing.audio.recogniser import describe
from holdfast.testing.demo.story import Act, as_expected, findings
from holdfast.testing.signals import RATE_HZ


def write_report(acts: list[Act], folder: Path) -> list[Path]:
    """Write everything, and return the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    played = [act for act in acts if act.phases]
    written = [_write_recording(act, folder / f"act-{number}.wav") for number, act in enumerate(played, start=1)]
    report = folder / "report.json"
    report.write_text(json.dumps(_report(acts), indent=2) + "\n", "utf-8")
    written.append(report)
    if played:
        from holdfast.testing.demo.picture import draw  # matplotlib takes a second to load

        written.append(folder / "demo.png")
        draw(played, written[-1])
    return written


def _write_recording(act: Act, path: Path) -> Path:
    """Write one stereo file: left the ear of the first party, right that of the second."""
    span = {"since_s": act.phases[0].asked_s, "until_s": act.phases[-1].until_s}
    ears = [act.ears[party].samples(**span) for party in act.parties]
    soundfile.write(path, np.stack(ears, axis=1), RATE_HZ, subtype="PCM_16")
    return path


def _report(acts: list[Act]) -> dict[str, Any]:
    return {"as_expected": as_expected(acts), "acts": [_act(act) for act in acts]}


def _act(act: Act) -> dict[str, Any]:
    began_s = act.phases[0].asked_s if act.phases else 0.0
    return {
        "title": act.title,
        "how": act.how,
        "failure": act.failure,
        "phases": [
            {
                "title": phase.title,
                "held": phase.held,
                "asked_s": round(phase.asked_s - began_s, 3),
                "until_s": round(phase.until_s - began_s, 3),
                "ears": {
                    finding.party: {
                        "expected": finding.expected,
                        "heard": list(finding.heard),
                        "as_expected": finding.as_expected,
                        "leaks": finding.leaks,
                        "switch_ms": None if finding.switch_s is None else round(finding.switch_s * 1000, 1),
                    }
                    for finding in findings(act)
                    if finding.phase == phase.title
                },
            }
            for phase in act.phases
        ],
        "ears": {party: _ear(act, party, began_s) for party in act.parties if party in act.ears},
    }


def _ear(act: Act, party: str, began_s: float) -> dict[str, Any]:
    ear = act.ears[party]
    whole = stream(ear.packets())
    return {
        "packets": whole.packets,
        "sources": whole.sources,
        "holes": whole.holes,
        "longest_gap_ms": round(whole.longest_gap_s * 1000, 1),
        "heard": [
            {
                "from_s": round(interval.start_s - began_s, 3),
                "to_s": round(interval.end_s - began_s, 3),
                "what": describe(interval.heard),
            }
            for interval in ear.intervals()
        ],
    }
