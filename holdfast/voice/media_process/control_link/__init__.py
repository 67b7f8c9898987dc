"""The local socket between control and the media process: protocol, server, fact queue."""
