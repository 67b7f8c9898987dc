"""The door: Twilio's REST API."""
