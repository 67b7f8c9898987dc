"""SIP signalling as pure machines: bytes and time go in, effects come out."""
