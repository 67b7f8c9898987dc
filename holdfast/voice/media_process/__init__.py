"""The media process: it owns every RTP socket and runs the 20 ms tick."""
