"""Carry out holds: select the way, execute it, take over holds of other services."""
