"""Carrying out holds: way selection and the executor."""
