"""The log of holds: events, the in-memory store and the stored form."""
