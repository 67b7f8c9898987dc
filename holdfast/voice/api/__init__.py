"""Twilio's REST API and the operator's endpoints over HTTP."""
