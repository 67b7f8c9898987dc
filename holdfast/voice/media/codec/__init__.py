"""The G.711 tables and the WAV header."""
