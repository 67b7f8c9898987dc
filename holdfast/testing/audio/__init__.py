"""The audio of test phones: RTP streams, ears, known sounds."""
