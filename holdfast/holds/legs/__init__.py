"""Hold calls by their two legs: the pure planner, and the executor of its plans."""
