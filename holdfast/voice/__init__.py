"""The engine: a voice platform that speaks Twilio's REST, TwiML and webhooks, and carries audio by SIP and RTP."""
