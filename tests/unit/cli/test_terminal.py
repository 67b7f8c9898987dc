"""Printed text cannot control the terminal, wherever it came from."""

from __future__ import annotations

import pytest

from holdfast.cli.terminal import CommandStopped, print_error, print_line, print_table, sanitize

EVIL = "\x1b]0;title\x07caller\x9b2J\r\x00"


def test_control_characters_are_printed_as_replacement_characters() -> None:
    assert sanitize(EVIL) == "\ufffd]0;title\ufffdcaller\ufffd2J\ufffd\ufffd"
    assert sanitize("a\tb\nc é 你好") == "a\tb\nc é 你好"


def test_no_output_contains_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(EVIL)
    print_table(("CALL", "FROM"), [("CA1", EVIL)], empty="nobody")
    print_error(CommandStopped(EVIL, fix=EVIL))
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert text.count("caller") == 2
        assert not set(text) & set(EVIL[:1] + "\x07\x9b\r\x00")
