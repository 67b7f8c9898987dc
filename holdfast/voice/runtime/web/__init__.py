"""What the HTTP client needs to know and decide without any socket: addresses, whom to reach, caching, errors."""
