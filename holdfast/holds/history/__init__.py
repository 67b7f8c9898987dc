"""Log holds: their events, the in-memory store and the stored form."""
