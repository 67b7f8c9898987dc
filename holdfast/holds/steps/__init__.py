"""Steps asked of the account: pairs of legs, redirects, and the TwiML documents that calls receive."""
