"""Sessions: INVITE, re-INVITE, PRACK, REFER and session timers."""
