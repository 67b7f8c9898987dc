"""The test kit, shipped to users: a fake world, a server, and a scripted SIP phone with ears."""
