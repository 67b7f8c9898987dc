"""Holding by independent legs: the planner and the executor side by side."""
