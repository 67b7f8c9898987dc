"""Calls, rooms, queues and recordings decide as pure machines."""
