"""Dialogs and sessions as values (RFC 3261 §12)."""
