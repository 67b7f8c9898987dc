"""Bound concurrency within one event loop: locks per call, gathered tasks, the home loop."""
