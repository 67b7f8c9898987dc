"""What `holdfast run` puts before a program, so that its official Twilio SDK talks to the engine with no edit."""
