"""The engine's own JSON for operators: diagnostics, directory, metrics."""
