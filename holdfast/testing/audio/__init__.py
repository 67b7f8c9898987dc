"""What test phones send and receive: RTP streams, ears, known sounds."""
