"""Hold calls in conferences: the pure planner, and the executor of its steps."""
