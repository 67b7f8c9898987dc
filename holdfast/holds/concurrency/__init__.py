"""Concurrency within one event loop: per-call locks, gathered tasks, the home loop."""
