"""TwiML documents, and the scripts that run them for a call."""
