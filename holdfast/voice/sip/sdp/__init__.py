"""Session descriptions, offer and answer, SDES keys."""
