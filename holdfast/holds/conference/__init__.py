"""This package holds a call in a conference: the pure planner, and the executor that carries out its steps."""
