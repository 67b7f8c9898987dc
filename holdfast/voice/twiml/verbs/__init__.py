"""Each family of TwiML verbs has its file here."""
