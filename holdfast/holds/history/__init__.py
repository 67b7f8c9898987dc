"""This package has the log of holds: their events, the in-memory store and the stored form."""
