"""Draw what each ear heard over time, with the holds marked.

Read it from left to right: a band per ear, coloured by what is heard, and under it the tones that arrived (time to
the right, pitch upwards), so that a person sees the voice stop and the music begin. A line goes through both ears
where a hold or a resume is requested; behind the ear of the party on hold the background is tinted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from holdfast.testing.audio.ears import Ear, Interval
from holdfast.testing.audio.recogniser import (
    NO_PACKETS,
    SILENCE,
    UNKNOWN,
    describe,
)
from holdfast.testing.demo.story import Act, findings
from holdfast.testing.signals import FRAME_S, FRAME_SAMPLES, GRID_HZ, HOLD_MUSIC, SECOND_MUSIC

INK, FAINT, PAPER = "#1d2733", "#5b6673", "#ffffff"
VOICE_COLOURS = ("#2f6fb2", "#2a9d76")
SOUND_COLOURS = {
    HOLD_MUSIC.name: "#e9a13b",
    SECOND_MUSIC.name: "#d9663a",
    describe(SILENCE): "#dfe4e9",
    describe(NO_PACKETS): "#f3f5f7",
    UNKNOWN: "#a02c5a",
}
HELD_TINT = "#fbf1df"

BAND_HEIGHT, TONES_HEIGHT, ROW_HEIGHT = 0.26, 0.56, 1.0
LOWEST_HZ, HIGHEST_HZ = 250, 1550
QUIETEST_DB = -50.0
"""The level below which tones are not drawn. Units: dB of full scale."""


def draw(acts: list[Act], path: Path) -> None:
    """Write the picture as a PNG."""
    begin_s = min(phase.asked_s for act in acts for phase in act.phases)
    with plt.rc_context({"font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "axes.labelcolor": INK}):
        figure, panels = plt.subplots(len(acts), 1, figsize=(13.5, 3.6 * len(acts) + 1.5), sharex=True, squeeze=False)
        for act, panel in zip(acts, panels[:, 0], strict=True):
            _draw_act(panel, act, begin_s)
        panels[-1, 0].set_xlabel("seconds")
        figure.text(0.018, 0.96, "Two calls, held and resumed: what each ear heard", fontsize=17, weight="bold")
        figure.text(
            0.018,
            0.945,
            "Each phone hums its own chord. Band: what arrived at that ear. Below it: the tones, pitch upwards.\n"
            "Dashed: hold() or resume() is asked; ms: from then until every ear hears what it should. Tinted: on hold.",
            fontsize=10.5,
            color=FAINT,
            va="top",
            linespacing=1.4,
        )
        figure.subplots_adjust(left=0.105, right=0.985, top=0.79, bottom=0.07, hspace=0.5)
        figure.savefig(path, dpi=110, facecolor=PAPER)
        plt.close(figure)


def _draw_act(panel: Any, act: Act, begin_s: float) -> None:
    colours = SOUND_COLOURS | dict(zip(act.parties, VOICE_COLOURS, strict=False))
    end_s = max(phase.until_s for phase in act.phases)
    for row, party in enumerate(act.parties):
        ear, base = act.ears[party], (len(act.parties) - 1 - row) * ROW_HEIGHT
        for phase in act.phases:
            if phase.held == party:
                span = (phase.asked_s - begin_s, phase.until_s - phase.asked_s)
                panel.broken_barh([span], (base, ROW_HEIGHT * 0.94), facecolors=HELD_TINT, zorder=0)
        for interval in ear.intervals(since_s=begin_s, until_s=end_s):
            _draw_band(panel, interval, base, colours, begin_s)
            _draw_tones(panel, ear, interval, base, colours, begin_s)
        panel.text(-0.012, base + 0.5, f"{party}'s\near", ha="right", va="center", weight="bold", **_on_the_left(panel))
    _mark_phases(panel, act, begin_s)
    panel.set_title(f"{act.title}: {act.how}", loc="left", fontsize=12.5, weight="bold", pad=40)
    panel.set_ylim(-0.03, len(act.parties) * ROW_HEIGHT)
    panel.set_xlim(0.0, end_s - begin_s)
    panel.set_yticks([])
    for side in ("left", "right", "top"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(FAINT)
    panel.tick_params(axis="x", colors=FAINT, labelbottom=True)


def _draw_band(panel: Any, interval: Interval, base: float, colours: dict[str, str], begin_s: float) -> None:
    heard = describe(interval.heard)
    colour = colours.get(heard, SOUND_COLOURS[UNKNOWN])
    start_s = interval.start_s - begin_s
    panel.broken_barh(
        [(start_s, interval.length_s)], (base + TONES_HEIGHT + 0.08, BAND_HEIGHT), facecolors=colour, edgecolor=PAPER
    )
    if interval.length_s < 0.9:
        return
    dark = heard in (describe(SILENCE), describe(NO_PACKETS))
    panel.text(
        start_s + interval.length_s / 2,
        base + TONES_HEIGHT + 0.07 + BAND_HEIGHT / 2,
        heard,
        ha="center",
        va="center",
        color=FAINT if dark else PAPER,
        weight="normal" if dark else "bold",
        clip_on=True,
    )


def _draw_tones(panel: Any, ear: Ear, interval: Interval, base: float, colours: dict[str, str], begin_s: float) -> None:
    """Draw the spectrum of each frame, as a column in the colour of what is heard."""
    samples = ear.samples(since_s=interval.start_s, until_s=interval.end_s)
    columns = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES) / 32768
    if not len(columns):
        return
    power = np.abs(np.fft.rfft(columns * np.hanning(FRAME_SAMPLES), axis=1)) / FRAME_SAMPLES
    shown = power[:, LOWEST_HZ // GRID_HZ : HIGHEST_HZ // GRID_HZ]
    loud = np.clip(1 - 20 * np.log10(np.maximum(shown, 1e-6)) / QUIETEST_DB, 0, 1).T
    image = np.empty((*loud.shape, 4))
    image[..., :3] = to_rgb(colours.get(describe(interval.heard), SOUND_COLOURS[UNKNOWN]))
    image[..., 3] = loud**0.5
    left = interval.start_s - begin_s
    place = (left, left + len(columns) * FRAME_S, base + 0.02, base + TONES_HEIGHT)
    panel.imshow(image, origin="lower", aspect="auto", extent=place, interpolation="nearest", zorder=2)


def _mark_phases(panel: Any, act: Act, begin_s: float) -> None:
    found = findings(act)
    for number, phase in enumerate(act.phases):
        at_s = phase.asked_s - begin_s
        mine = [finding for finding in found if finding.phase == phase.title]
        switches = [finding.switch_s for finding in mine if finding.switch_s]
        took = f"{max(switches) * 1000:.0f} ms" if switches and number else ""
        if number:
            panel.axvline(at_s, color=INK, linestyle=(0, (4, 3)), linewidth=1.1, zorder=3)
        sign = "✓" if all(finding.as_expected for finding in mine) else "✗"
        _label(panel, at_s, f"{sign} {phase.title}", took, good=sign == "✓")


def _label(panel: Any, at_s: float, title: str, took: str, *, good: bool) -> None:
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "annotation_clip": False}
    colour = INK if good else SOUND_COLOURS[UNKNOWN]
    panel.annotate(title, (at_s, 1.0), xytext=(2, 17), fontsize=9.5, weight="bold", color=colour, **place)
    panel.annotate(took, (at_s, 1.0), xytext=(2, 5), fontsize=9, color=FAINT, **place)


def _on_the_left(panel: Any) -> dict[str, Any]:
    return {"transform": panel.get_yaxis_transform(), "clip_on": False}
