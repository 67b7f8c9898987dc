"""One SIP leg: its state, media row, DTMF and trace."""
