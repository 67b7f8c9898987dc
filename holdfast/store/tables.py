"""This module defines the tables: the engine's journal and configuration, the product's holds.

One schema, one version number.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

VERSION = 4
"""Rises with every change of the tables or of what their rows say.

A file of another version is refused, untouched.
"""

METADATA = MetaData()

ENTRIES = Table(
    "entries",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("call", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("data", Text, nullable=False),
)

SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("noun", String, primary_key=True),
    Column("sid", String, primary_key=True),
    Column("data", Text, nullable=False),
    Column("over_at", Float),
)
RECENCY = Index("snapshots_by_end", SNAPSHOTS.c.over_at, SNAPSHOTS.c.noun, SNAPSHOTS.c.sid)
"""Index that finds the newest of those that are over, and deletes the rest, without reading any other row."""

KEY_VALUES = Table(
    "key_values",
    METADATA,
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

HOLDS = Table(
    "holds",
    METADATA,
    Column("id", String, primary_key=True),
    Column("asked_at", Float, nullable=False, index=True),
    Column("active", Boolean, nullable=False, index=True),
    Column("record", Text, nullable=False),
)

HOLD_EVENTS = Table(
    "hold_events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("hold", String, nullable=False, index=True),
    Column("call", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("by", String),
    Column("detail", Text),
)

PAIRS = Table(
    "pairs",
    METADATA,
    Column("parent", String, primary_key=True),
    Column("record", Text, nullable=False),
)

SET_ASIDE = Table(
    "set_aside",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("from_table", String, nullable=False),
    Column("what", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("record", Text, nullable=False),
)
"""Rows that could not be read at a start, as JSON: text that is no UTF-8 stands there in hexadecimal."""
