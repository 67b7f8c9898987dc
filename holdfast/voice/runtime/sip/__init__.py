"""The SIP shell: inbound and outbound legs, dial plan, trunks, registrations."""
