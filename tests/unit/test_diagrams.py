"""The drawn state machines are those of the code."""

from __future__ import annotations

from scripts.diagrams import PAGE, page


def test_the_page_is_drawn_from_the_tables_as_they_are() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: make diagrams"
