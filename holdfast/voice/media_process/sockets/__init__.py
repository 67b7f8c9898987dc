"""RTP sockets: ports, plain sockets, kernel AIO."""
