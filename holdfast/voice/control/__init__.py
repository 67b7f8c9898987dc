"""Decisions: calls, rooms and queues as pure machines."""
