"""The log of a server has no passwords."""

from __future__ import annotations

import io
import logging

from holdfast.cli.server.logs import WithoutSecrets


def test_neither_a_message_nor_a_traceback_shows_a_password_or_the_token() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(WithoutSecrets("%(levelname)s %(message)s", secrets=["the-token", ""]))
    log = logging.Logger("test")
    log.addHandler(handler)
    log.warning("asked %s with %s", "http://user:hush@h/x", "the-token")
    try:
        raise ValueError("the-token at https://user:hush@h/y")
    except ValueError:
        log.exception("it failed")
    output = out.getvalue()
    assert "hush" not in output
    assert "the-token" not in output.replace('"the-token at', "")  # the line of this file, which the traceback quotes
    assert "WARNING asked http://h/x with ***" in output
    assert "ValueError: *** at https://h/y" in output
