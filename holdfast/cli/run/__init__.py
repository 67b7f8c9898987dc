"""`holdfast run`: programs whose Twilio SDK talks to the engine."""
