"""The SIP shell: legs in and out, dial plan, trunks, registrations."""
