"""The check of every answer finds each kind of fault, and it has a table for every resource."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from holdfast.voice.api.app import RESOURCES
from tests.conformance import facts
from tests.conformance.answers import faults
from tests.conformance.rest_client import BASE, RestApi

JSON = "application/json"


def faults_of(path: str, body: Any, *, status: int = 200, method: str = "GET") -> list[str]:
    """Return the faults of an answer."""
    return faults(method, path, status, JSON, json.dumps(body).encode())


def test_every_resource_has_its_table() -> None:
    """Return the paths of the API, with a name for each part in braces."""
    for resource in RESOURCES:
        if resource.get is not None:
            path = BASE + re.sub(r"\{\w+\}", "x", resource.path)
            assert faults_of(path, {}) not in ([], [f"no table for {path.removeprefix(BASE)}"]), path


async def test_faults_of_a_resource_are_found(api: RestApi) -> None:
    call = api.engine.call()
    path = f"{BASE}/Calls/{call.sid}"
    good = (await api.get(f"/Calls/{call.sid}")).json
    assert faults_of(path, good) == []
    assert faults_of(path, good | {"more": 1}) == ["more: not in the reference"]
    assert faults_of(path, good | {"status": "on hold"}) == [f"status: 'on hold' is not {facts.CALL['status']}"]
    assert faults_of(path, {name: good[name] for name in good if name != "sid"}) == ["sid: missing"]


async def test_faults_of_a_list_are_found(api: RestApi) -> None:
    api.engine.call()
    path = f"{BASE}/Calls.json"
    good = (await api.get("/Calls.json")).json
    assert faults_of(path, good) == []
    assert faults_of(path, good | {"total": 1}) == ["total: not in the reference"]
    assert faults_of(path, good | {"calls": [good["calls"][0] | {"uri": "x"}]}) == ["uri: 'x' is not uri"]
    assert faults_of(path, {"recordings": []}) == ["no list calls"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"code": 20404}, "message: missing"),
        (
            {"code": 20404, "message": "", "more_info": "https://www.twilio.com/docs/errors/20404", "status": 400},
            "400 in",
        ),
        (
            {"code": 20404, "message": "", "more_info": "https://www.twilio.com/docs/errors/20403", "status": 404},
            "20404",
        ),
    ],
)
def test_faults_of_an_error_are_found(body: Any, fault: str) -> None:
    assert any(fault in each for each in faults_of(f"{BASE}/Calls", body, status=404))


def test_other_faults_are_found() -> None:
    assert faults("DELETE", f"{BASE}/Calls/x", 204, JSON, b"{}") == ["a 204 with a body"]
    assert faults("GET", f"{BASE}/Calls/x", 200, JSON, b"<html>") == ["200 is not JSON"]
    assert faults_of(f"{BASE}/Elsewhere", {}) == ["no table for /Elsewhere"]
    assert faults("GET", f"{BASE}/Recordings/x.wav", 200, "audio/x-wav", b"RIFF") == []
    assert faults("GET", "/healthz", 200, JSON, b"fine") == []
