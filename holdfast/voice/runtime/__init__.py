"""The impure shell of the engine: its mailbox, clock, sockets, webhooks and processes."""
