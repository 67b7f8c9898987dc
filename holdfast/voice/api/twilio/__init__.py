"""Twilio's REST resources, one file each."""
