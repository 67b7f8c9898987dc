"""The names of trunks: DNS look-ups, the addresses that a name leads to, and the trunks at these addresses."""
