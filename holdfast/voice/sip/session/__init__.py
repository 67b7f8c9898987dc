"""Sessions: INVITE, re-INVITE, PRACK, INFO, REFER and session timers."""
