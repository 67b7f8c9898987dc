"""This package reads and changes the account, by the official Twilio SDK."""
