"""This package has the steps that the account is asked for: pairs of legs, redirects, and TwiML documents."""
