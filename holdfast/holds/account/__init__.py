"""The account behind the holds service: client, transport, credentials and snapshots."""
