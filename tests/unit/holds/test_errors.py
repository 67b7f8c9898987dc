"""Each error has its own code for programs and its own HTTP status; the service's bounds are what the pages say."""

from __future__ import annotations

import pytest

from holdfast.holds import errors, policy, validation
from holdfast.holds.account import client, transport
from holdfast.holds.conference import executor
from holdfast.holds.errors import HoldsError
from holdfast.holds.history import hold_log, memory_store
from holdfast.holds.legs import pair_index, wait_queues
from holdfast.holds.steps import documents
from holdfast.holds.web import app, document_endpoints

CODES = {
    errors.HoldsError: ("error", 500),
    errors.RequestError: ("asked_wrong", 400),
    errors.BadInput: ("bad_input", 400),
    errors.HoldRefused: ("hold_refused", 409),
    errors.CallNotInProgress: ("call_not_live", 409),
    errors.NotAllowed: ("not_allowed", 403),
    errors.HoldUnknown: ("hold_unknown", 404),
    errors.WrongEventLoop: ("wrong_event_loop", 500),
    errors.AccountError: ("account_trouble", 502),
    errors.AccountUnreachable: ("account_unreachable", 504),
    errors.OutcomeUnknown: ("outcome_unknown", 504),
    errors.AccountRefused: ("account_refused", 502),
    errors.ResourceNotFound: ("not_there", 502),
    errors.WrongCredentials: ("wrong_credentials", 502),
    errors.HoldFailed: ("hold_failed", 502),
    errors.ServerStopping: ("being_stopped", 503),
    errors.StoreError: ("store_trouble", 503),
    document_endpoints.SignatureInvalid: ("not_signed", 403),
}


def test_each_error_has_its_code_and_its_status() -> None:
    found: list[type[HoldsError]] = [HoldsError]
    for kind in found:
        found += [each for each in kind.__subclasses__() if each.__module__.startswith("holdfast.holds")]
    assert {kind: (kind.code, kind.http) for kind in found} == CODES


@pytest.mark.parametrize("fix", [None, "do this"])
def test_an_error_is_printed_with_a_remedy(fix: str | None) -> None:
    error = errors.HoldFailed("it failed", fix=fix, hold="HO1")
    assert (str(error), error.message, error.fix, error.hold) == (
        "it failed" if fix is None else "it failed\n  do this",
        "it failed",
        fix,
        "HO1",
    )
    refused = errors.AccountRefused("no", status=429, twilio_code=20429, fix=fix)
    assert (refused.status, refused.twilio_code, refused.fix, refused.hold) == (429, 20429, fix, None)


def test_the_bounds_of_the_service() -> None:
    assert (policy.GRACE_S, policy.MAX_CALL_S) == (600, 14_400)
    assert (validation.MAX_TEXT, validation.MAX_URL) == (500, 2_000)
    assert (client.PAGE_SIZE, client.MAX_ROWS, transport.MAX_BODY) == (500, 5_000, 8_000_000)
    assert (executor.ROOMS_AT_ONCE, executor.MAX_REMEMBERED) == (8, 10_000)
    assert (hold_log.EVENT_BATCH, hold_log.MAX_UNSAVED, hold_log.FLUSH_SIZE) == (500, 10_000, 20)
    assert hold_log.MAX_ACTIVE == 1_000_000
    assert (memory_store.MAX_EVENTS, memory_store.MAX_HOLDS) == (10_000, 10_000)
    assert (pair_index.MAX_SERVED, wait_queues.MAX_CLOSE_TRIES) == (10_000, 20)
    assert (documents.MAX_LOOPS, documents.SHORTEST_AUDIO_S, documents.MAX_DOCUMENT) == (1_000, 1, 60_000)
    assert (app.KEEPALIVE_S, app.EVENT_BATCH, app.RETRY_AFTER_S, app.MAX_BODY) == (15.0, 500, 10, 65_536)
    assert (document_endpoints.MAX_FIELDS, document_endpoints.LOG_INTERVAL_S) == (200, 60.0)
