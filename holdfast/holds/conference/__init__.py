"""Holding by conference: the planner and the executor side by side."""
