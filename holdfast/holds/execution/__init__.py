"""This package carries out holds: it selects the way, executes it, and takes over holds of other services."""
