"""SIP messages on the wire: URIs, headers, framing, bodies, digest."""
