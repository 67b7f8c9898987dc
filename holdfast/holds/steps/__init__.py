"""Define the steps asked of the account: pairs of legs, redirects, and TwiML documents."""
