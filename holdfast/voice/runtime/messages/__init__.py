"""Messages: the texts that programs send by REST, recorded and not delivered."""
