"""The call machine, its scripts and its step in progress."""
