"""One file per family of TwiML verbs."""
