"""This package holds a call by its two legs: the pure planner, and the executor that carries out its plans."""
