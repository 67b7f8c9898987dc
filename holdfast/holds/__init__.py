"""The product: hold and resume of live calls on any account that speaks Twilio's voice API."""
