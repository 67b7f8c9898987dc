"""The command line with a server that is no Holdfast, and with one that stops: an error, never a traceback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from holdfast.cli.app import run

CALL = "CA" + "0" * 32
EVENT = b'data: {"at": 1, "hold": "HO1", "call": "CA1", "kind": "held", "detail": "x"}\n\n'


@contextmanager
def something(answers: dict[str, bytes]) -> Iterator[int]:
    """An HTTP server with an answer for each given path, and one for all others."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + answers.get(self.path, answers["*"]))

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Do nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b"7", b"", b'"calls"', b"\xff"])
@pytest.mark.parametrize("arguments", [["calls"], ["holds"], ["hold", CALL], ["resume", CALL]])
def test_a_server_that_is_no_holdfast_is_reported(
    answer: bytes, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with something({"*": answer}) as port:
        monkeypatch.setenv("HOLDFAST_HTTP_PORT", str(port))
        assert run(arguments) == 1
    assert "is no Holdfast" in capsys.readouterr().err


def test_watching_prints_events_and_reports_the_stop_of_the_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with something({"*": b'{"holds": []}', "/events": b"retry: 1\n\n: alive\n\n" + EVENT}) as port:
        monkeypatch.setenv("HOLDFAST_HTTP_PORT", str(port))
        assert run(["holds", "--watch"]) == 1
    told = capsys.readouterr()
    assert told.out.split()[1:] == ["HO1", "CA1", "held", "x"]
    assert "the server has stopped" in told.err
