"""`explain` and `ladder` describe calls from the engine's state and the journal."""
