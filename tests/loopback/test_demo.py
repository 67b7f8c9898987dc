"""The demo, played quickly: both acts heard as they should be, and everything written that is promised."""

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from holdfast.testing.demo.play import play


def test_both_acts_are_heard_as_expected_at_every_ear(tmp_path: Path) -> None:
    paper = StringIO()

    status = play(tmp_path, Console(file=paper, width=120), listen_s=0.3)

    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert status == 0, paper.getvalue()
    assert [len(act["phases"]) for act in report["acts"]] == [5, 5]
    assert [[phase["held"] for phase in act["phases"]] for act in report["acts"]] == [
        [None, "customer", None, "customer", None],
        [None, "customer", None, "agent", None],
    ]
    for act in report["acts"]:
        for ear in act["ears"].values():
            assert (ear["sources"], ear["holes"]) == (1, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["act-1.wav", "act-2.wav", "demo.png", "report.json"]
    assert "Every phase was heard as expected, at every ear." in paper.getvalue()
