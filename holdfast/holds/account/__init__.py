"""Read and change the account, by the official Twilio SDK."""
