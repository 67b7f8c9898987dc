"""Keep what the engine and the product must remember, in one SQL database."""
