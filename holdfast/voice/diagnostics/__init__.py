"""Explanations of calls from state and journal: `explain` and `ladder`."""
