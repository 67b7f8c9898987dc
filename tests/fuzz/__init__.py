"""Hostile packets, made from the structure of real ones."""
