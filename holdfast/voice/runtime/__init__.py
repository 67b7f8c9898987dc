"""The shell: the one mailbox, clocks, sockets, webhooks and processes around the pure engine."""
