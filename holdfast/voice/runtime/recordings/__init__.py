"""Recordings: WAV files, formats, retention."""
