"""Ask a running server over HTTP, by its JSON API, on behalf of the command line."""

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
    """The server answers with an error."""

    def __init__(self, status: int, message: str, fix: str) -> None:
        super().__init__(message, fix=fix)
        self.http_status = status


class Client:
    """A client of a running server. Every failure becomes a `CommandStopped` that says what to do."""

    def __init__(self, *, url: str, credentials: StoredAccount) -> None:
        self.url = url
        self.credentials = credentials
        pair = f"{credentials.sid}:{credentials.token}".encode()
        self._authorization = "Basic " + base64.b64encode(pair).decode()
        # The server is ours: no proxy stands between.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, *, required_key: str | None = None) -> Any:
        """Return the JSON at a path, which must have the required key. Raises: CommandStopped."""
        with self._open(path) as response:
            return _read_json(response, required_key)

    def text(self, path: str) -> str:
        """Return the text at a path. Raises: CommandStopped."""
        with self._open(path, accept="text/plain") as response:
            return response.read().decode("utf-8", "replace")

    def post(self, path: str, body: dict[str, object] | None = None, *, required_key: str | None = None) -> Any:
        """Post a JSON body and return the JSON answer, which must have the required key. Raises: CommandStopped."""
        return self._send("POST", path, json.dumps(body or {}).encode(), required_key)

    def delete(self, path: str) -> bool:
        """Delete the resource at a path and return whether it existed. Raises: CommandStopped."""
        try:
            self._send("DELETE", path, None, None)
        except ServerRefused as refused:
            if refused.http_status == NOT_FOUND:
                return False
            raise
        return True

    @contextmanager
    def events(self, path: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Yield the data of each server-sent event from now on, until the server stops. Raises: CommandStopped."""
        with self._open(path, accept="text/event-stream", timeout_s=None) as response:
            yield _events(response)

    def _send(self, method: str, path: str, body: bytes | None, required_key: str | None) -> Any:
        with self._open(path, method=method, body=body) as response:
            return _read_json(response, required_key)

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
    """Return a client of the server that these settings describe. Raises: CommandStopped."""
    return Client(url=address_of(settings), credentials=load_credentials(settings))


@contextmanager
def call_errors(call: str) -> Iterator[None]:
    """Turn a 404 within the block into an error that names the call. Raises: CommandStopped."""
    try:
        yield
    except ServerRefused as refused:
        if refused.http_status != NOT_FOUND:
            raise
        raise CommandStopped(f"there is no call {call}", fix="holdfast calls lists the live ones.") from refused


def load_credentials(settings: Settings) -> StoredAccount:
    """Return the settings' account, else the one beside the store, made on first use. Raises: CommandStopped."""
    if settings.account_sid and settings.auth_token:
        return StoredAccount(sid=settings.account_sid, token=settings.auth_token)
    try:
        return load_or_create_account(settings.store_path)
    except AccountFileInvalid as error:
        raise CommandStopped(str(error)) from error


def _events(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the data of server-sent events. Source: HTML, "Server-sent events"."""
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield json.loads("\n".join(data))
            data = []


def _read_json(response: http.client.HTTPResponse, required_key: str | None) -> Any:
    body = response.read()
    try:
        answer = json.loads(body) if body else None
    except ValueError:
        answer = None
    if (body and answer is None) or (
        required_key is not None and not (isinstance(answer, dict) and required_key in answer)
    ):
        raise CommandStopped(
            f"the server at this address is no Holdfast: {body[:60]!r}",
            fix="holdfast doctor shows which program listens there.",
        )
    return answer


def _server_refused(error: urllib.error.HTTPError) -> ServerRefused:
    try:
        body = json.loads(error.read())
    except (ValueError, OSError):
        body = None
    body = body if isinstance(body, dict) else {}
    detail = body.get("message") or body.get("detail") or f"{error.code} {error.reason}"
    fix = str(body.get("fix") or "")
    if error.code == 401 and not fix:
        fix = "The server has another account. Give the same settings here as to `holdfast serve`."
    return ServerRefused(error.code, str(detail), fix)
