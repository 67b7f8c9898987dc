"""The code that `holdfast run` loads into a program, so that its Twilio SDK uses the engine without an edit."""
