"""The media process: every RTP socket and the 20 ms tick."""
