"""The RTP sockets: ports, plain sockets and kernel AIO."""
