"""The audio of all calls as arrays: RTP, codecs, DTMF, mixing and the 20 ms tick."""
