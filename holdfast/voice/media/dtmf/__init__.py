"""DTMF in both directions: telephone events (RFC 4733) and tones."""
