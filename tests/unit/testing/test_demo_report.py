"""What the demo prints, and what it leaves behind."""

import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import soundfile
from PIL import Image
from rich.console import Console

from holdfast.testing.demo.report import write_report
from holdfast.testing.demo.view import LineView, TableView, findings_table, view_on
from tests.unit.testing.heard_acts import BEGAN_S, GOOD_AGENT, GOOD_CUSTOMER, act_of


@dataclass
class Talking:
    status: str = "talking"


def paper(*, terminal: bool = False) -> Console:
    return Console(file=StringIO(), width=140, force_terminal=terminal)


def text(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_report_holds_recordings_a_picture_and_the_figures(tmp_path: Path) -> None:
    act = act_of(GOOD_CUSTOMER, GOOD_AGENT)

    written = write_report([act], tmp_path / "out")

    assert [path.name for path in written] == ["act-1.wav", "report.json", "demo.png"]
    audio, rate_hz = soundfile.read(written[0])
    assert (audio.shape, rate_hz) == ((24000, 2), 8000)
    left, right = audio[9000:15000].T
    assert left.any()
    assert not right.any()
    report = json.loads(written[1].read_text())
    assert report["as_expected"] is True
    hold = report["acts"][0]["phases"][1]
    assert hold["ears"]["customer"]["switch_ms"] == 20.0
    assert report["acts"][0]["ears"]["agent"] | {"heard": 0} == {
        "packets": 150, "sources": 1, "holes": 0, "longest_gap_ms": 20.0, "heard": 0,
    }  # fmt: skip
    with Image.open(written[2]) as picture:
        assert picture.size[0] > 1000


def test_an_act_that_never_began_leaves_no_recording(tmp_path: Path) -> None:
    act = act_of(GOOD_CUSTOMER, GOOD_AGENT)
    act.phases.clear()
    act.failure = "nobody answered"

    written = write_report([act], tmp_path)

    assert [path.name for path in written] == ["report.json"]
    assert json.loads(written[0].read_text())["acts"][0]["failure"] == "nobody answered"


def test_the_table_lists_the_sounds_of_each_ear() -> None:
    console = paper()

    console.print(findings_table([act_of(GOOD_CUSTOMER, (("customer", 150),))]))

    lines = text(console).splitlines()
    customer = next(place for place, line in enumerate(lines) if line.strip().startswith("hold"))
    assert lines[customer].split() == [
        "hold",
        "customer",
        "hold",
        "music",
        "agent",
        "→",
        "hold",
        "music",
        "20",
        "ms",
        "✓",
    ]
    assert lines[customer + 1].split() == ["agent", "silence", "customer", "✗"]


def test_without_a_terminal_a_line_is_printed_per_change() -> None:
    console, act = paper(), act_of(GOOD_CUSTOMER, GOOD_AGENT)
    act.phones = {"customer": Talking()}
    view = view_on(console)

    with view:
        view.show([act], BEGAN_S + 0.5)
        view.show([act], BEGAN_S + 0.6)
        act.held = "customer"
        view.show([act], BEGAN_S + 1.5)

    assert isinstance(view, LineView)
    assert text(console).splitlines() == [
        "  0.00 s  Act 1: resume",
        "  0.00 s  Act 1: customer (talking) hears agent",
        "  0.00 s  Act 1: agent (no phone yet) hears customer",
        "  1.00 s  Act 1: customer (talking, on hold) hears hold music",
        "  1.00 s  Act 1: agent (no phone yet) hears silence",
    ]


def test_on_a_terminal_a_table_is_kept_current() -> None:
    console, act = paper(terminal=True), act_of(GOOD_CUSTOMER, GOOD_AGENT)
    act.held, act.failure = "customer", "out of patience"
    view = view_on(console)

    with view:
        view.show([act], BEGAN_S + 1.5)

    assert isinstance(view, TableView)
    for words in ("on hold", "hold music", "silence", "out of patience"):
        assert words in text(console)
