"""The command line as a client of a running server: its JSON API, over HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.cli.run_file import address_of
from holdfast.cli.terminal import CommandStopped
from holdfast.settings import Settings
from holdfast.store.account_file import AccountFileInvalid, StoredAccount, load_or_create_account

TIMEOUT_S = 20.0
NOT_FOUND = 404


class ServerRefused(CommandStopped):
    """The server answered with an error."""

    def __init__(self, status: int, message: str, fix: str) -> None:
        super().__init__(message, fix=fix)
        self.http_status = status


class Client:
    """Asks a running server. Every trouble becomes a `Stop` that says what to do."""

    def __init__(self, *, url: str, credentials: StoredAccount) -> None:
        self.url = url
        self.credentials = credentials
        pair = f"{credentials.sid}:{credentials.token}".encode()
        self._authorization = "Basic " + base64.b64encode(pair).decode()
        # The server is ours: no proxy stands between.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, *, required_key: str | None = None) -> Any:
        """The JSON at a path, which must have this key. Raises: Stop."""
        with self._open(path) as response:
            return _read_json(response, required_key)

    def text(self, path: str) -> str:
        """The text at a path. Raises: Stop."""
        with self._open(path, accept="text/plain") as response:
            return response.read().decode("utf-8", "replace")

    def post(self, path: str, body: dict[str, object] | None = None, *, required_key: str | None = None) -> Any:
        """The JSON answer to a JSON body, which must have this key. Raises: Stop."""
        return self._send("POST", path, json.dumps(body or {}).encode(), required_key)

    def delete(self, path: str) -> bool:
        """Whether there was something to remove at a path. Raises: Stop."""
        try:
            self._send("DELETE", path, None, None)
        except ServerRefused as refused:
            if refused.http_status == NOT_FOUND:
                return False
            raise
        return True

    @contextmanager
    def events(self, path: str) -> Iterator[Iterator[dict[str, Any]]]:
        """The data of each server-sent event from now on, until the server stops. Raises: Stop."""
        with self._open(path, accept="text/event-stream", timeout_s=None) as response:
            yield _events(response)

    def _send(self, method: str, path: str, body: bytes | None, has: str | None) -> Any:
        with self._open(path, method=method, body=body) as response:
            return _read_json(response, has)

    @contextmanager
    def _open(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        accept: str = "application/json",
        timeout_s: float | None = TIMEOUT_S,
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Authorization": self._authorization, "Content-Type": "application/json", "Accept": accept}
        url = self.url + urllib.parse.quote(path, safe="/?=&+")
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=timeout_s) as response:
                yield response
        except urllib.error.HTTPError as error:
            with error:
                raise _server_refused(error) from error
        except (TimeoutError, urllib.error.URLError, ConnectionError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise CommandStopped(
                f"no Holdfast answers at {self.url} ({reason})", fix="Start it in another terminal: holdfast serve"
            ) from error


def make_client(settings: Settings) -> Client:
    """A client of the server these settings describe. Raises: Stop."""
    return Client(url=address_of(settings), credentials=load_credentials(settings))


@contextmanager
def call_errors(call: str) -> Iterator[None]:
    """Within it, a server that does not know the call is told in words. Raises: Stop."""
    try:
        yield
    except ServerRefused as refused:
        if refused.http_status != NOT_FOUND:
            raise
        raise CommandStopped(f"there is no call {call}", fix="holdfast calls lists the live ones.") from refused


def load_credentials(settings: Settings) -> StoredAccount:
    """The account of the settings, else the one kept beside the store, made on first use. Raises: Stop."""
    if settings.account_sid and settings.auth_token:
        return StoredAccount(sid=settings.account_sid, token=settings.auth_token)
    try:
        return load_or_create_account(settings.store_path)
    except AccountFileInvalid as error:
        raise CommandStopped(str(error)) from error


def _events(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The data of server-sent events. Source: HTML, "Server-sent events"."""
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield json.loads("\n".join(data))
            data = []


def _read_json(response: http.client.HTTPResponse, has: str | None) -> Any:
    body = response.read()
    try:
        told = json.loads(body) if body else None
    except ValueError:
        told = None
    if (body and told is None) or (has is not None and not (isinstance(told, dict) and has in told)):
        raise CommandStopped(
            f"what answers at this address is no Holdfast: {body[:60]!r}",
            fix="holdfast doctor shows who listens there.",
        )
    return told


def _server_refused(error: urllib.error.HTTPError) -> ServerRefused:
    try:
        told = json.loads(error.read())
    except (ValueError, OSError):
        told = None
    told = told if isinstance(told, dict) else {}
    detail = told.get("message") or told.get("detail") or f"{error.code} {error.reason}"
    fix = str(told.get("fix") or "")
    if error.code == 401 and not fix:
        fix = "The server has another account. Give the same settings here as to `holdfast serve`."
    return ServerRefused(error.code, str(detail), fix)
