"""Memory: what the engine and the product keep, in one SQL database."""
