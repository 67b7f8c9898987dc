"""Language: TwiML documents, and scripts that run them for one ear."""
