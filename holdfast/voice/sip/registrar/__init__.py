"""REGISTER in both directions (RFC 3261 §10)."""
