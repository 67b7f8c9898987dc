"""The bench, shipped to users: a fake world, and a scripted SIP phone with ears."""
