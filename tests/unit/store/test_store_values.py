"""The limits and patience of the store that `docs/operating.md` and the store's own pages name. Units: seconds."""

from __future__ import annotations

import datetime

import pytest

from holdfast.store import database, file_watch, journal, row_check, row_types, writer_connection

PROMISED: dict[str, tuple[object, object]] = {
    "unreadable rows that are set aside: so many, or this share": (
        (row_check.MAX_UNREADABLE, row_check.MAX_UNREADABLE_SHARE),
        (100, 0.1),
    ),
    "unreadable rows that are logged": (row_check.MAX_LOGGED, 20),
    "patience with a locked database, at the start and at work": (
        (row_check.LOCKED_S, database.OPEN_S, writer_connection.BUSY_S),
        (5, 5, 0.25),
    ),
    "patience with a write, and with the last ones": ((database.WRITE_WAIT_S, database.CLOSE_S), (0.25, 2)),
    "trouble is reported after, and tried again each": ((database.TROUBLE_S, database.RETRY_S), (2, 1)),
    "the file is looked at each": (database.WATCH_INTERVAL_S, 1),
    "looks that must agree": (file_watch.CONFIRMING_READS, 2),
    "writes in one transaction, and readers beside it": ((database.MAX_GROUP, database.READERS), (256, 4)),
    "calls pruned at a time": (journal.PRUNE_BATCH, 25),
    "seconds from the year 1 to 1970, the most that a time may be": (
        row_types.MAX_TIME_S,
        (datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) - datetime.datetime(1, 1, 1, tzinfo=datetime.UTC))
        / datetime.timedelta(seconds=1),
    ),
    "an integer of SQL has 64 bits": (row_types.INTEGER_LIMIT, 2**63),
}


@pytest.mark.parametrize("what", PROMISED)
def test_the_value_is_the_one_that_is_promised(what: str) -> None:
    value, promised = PROMISED[what]
    assert value == promised
