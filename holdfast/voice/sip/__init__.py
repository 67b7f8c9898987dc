"""Signalling: SIP as pure machines; bytes and time in, effects out."""
