"""Hostile packets, made from what real ones look like."""
