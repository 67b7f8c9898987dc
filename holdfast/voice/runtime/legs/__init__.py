"""Legs: how a call is attached to the outside."""
