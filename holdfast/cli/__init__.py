"""The command line: one package for each family of commands."""

INTERRUPTED = 130
"""The exit status after Ctrl-C: 128 + SIGINT."""
